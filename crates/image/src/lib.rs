//! Jobs over any registries: pull, push, unpack, build.
//!
//! Nothing in here knows where a registry lives: a job takes [`Pull`](gantri_core::Pull) and
//! [`Registry`](gantri_core::Registry) values and works the same on a server far away, a directory, or a map in memory.
//!
//! | module | holds |
//! | --- | --- |
//! | [`mod@resolve`] | reference and platform to one image manifest |
//! | [`mod@pull`] | one image from one registry into another |
//! | [`mod@push`] | an image into a registry, content before names |
//! | [`unpack`] | an image as a root file system on disk |
//! | [`build`] | directories as reproducible layers, layers as an image |
//!
//! A directory becomes an image, the image goes into a registry, and out of it comes the same directory:
//!
//! ```
//! use std::sync::Arc;
//!
//! use gantri_core::Memory;
//! use gantri_image::{ImageBuilder, Layer, PackOptions, PushOptions, Unpack, push};
//! use gantri_spec::{Platform, RepositoryName, Tag};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let scratch = tempfile::tempdir()?;
//! # let scratch = scratch.path();
//! # std::fs::create_dir(scratch.join("tree"))?;
//! # std::fs::write(scratch.join("tree/hello"), "hello")?;
//! let (repo, tag): (RepositoryName, Tag) = ("team/app".parse()?, "v1".parse()?);
//! let registry = Memory::new();
//!
//! let layer = Layer::pack(scratch.join("tree"), scratch, PackOptions::default()).await?;
//! let image = ImageBuilder::new(Platform::host()).with_layer(layer).build();
//! push(image, &registry, &repo, &[tag.clone()], &PushOptions::default()).await?;
//!
//! let unpacked = Unpack::new(Arc::new(registry), repo, tag).to(scratch.join("root")).await?;
//! assert_eq!(unpacked.entries, 1);
//! assert_eq!(std::fs::read_to_string(scratch.join("root/hello"))?, "hello");
//! # Ok(())
//! # }
//! ```

pub mod build;
mod layer;
mod progress;
pub mod pull;
pub mod push;
pub mod resolve;
mod stop;
pub mod unpack;

pub use build::{ImageBuilder, Layer, PackOptions};
pub use pull::{PullOptions, pull};
pub use push::{Blob, Image, Present, PushOptions, push};
pub use resolve::{Resolved, resolve};
pub use unpack::{Unpack, Unpacked};
