//! Jobs over any registries: pull, push, unpack, build.
//!
//! Nothing in here knows where a registry lives: a job takes [`Pull`](gantri_core::Pull) and
//! [`Registry`](gantri_core::Registry) values and works the same on a server far away, a directory, or a map in memory.
//!
//! | module | holds |
//! | --- | --- |
//! | [`mod@resolve`] | reference and platform to one image manifest |
//! | [`mod@copy`] | images, indexes and artifacts from any registry into any other |
//! | [`mod@plan`] | what a copy did, or would do |
//! | [`mod@pull`] | one image from one registry into another |
//! | [`mod@push`] | images that are made here, into registries |
//! | [`mod@artifact`] | files as an artifact, and back |
//! | [`unpack`] | an image as a root file system on disk |
//! | [`build`] | directories as reproducible layers, layers as an image |
//!
//! A directory becomes an image, the image goes into a registry, and out of it comes the same directory:
//!
//! ```
//! use std::sync::Arc;
//!
//! use gantri_core::Memory;
//! use gantri_image::{ImageBuilder, Layer, PackOptions, Place, PushOptions, Unpack, push};
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
//! let place = Place::new(Arc::new(registry), repo);
//! push(image, &place, &[tag.clone()], &PushOptions::default()).await?;
//!
//! let unpacked = Unpack::new(place.registry, place.repo, tag).to(scratch.join("root")).await?;
//! assert_eq!(unpacked.entries, 1);
//! assert_eq!(std::fs::read_to_string(scratch.join("root/hello"))?, "hello");
//! # Ok(())
//! # }
//! ```

pub mod artifact;
mod attach;
pub mod build;
pub mod copy;
mod flight;
mod graph;
mod layer;
mod lost;
mod place;
pub mod plan;
mod progress;
pub mod pull;
pub mod push;
pub mod resolve;
mod steady;
mod stop;
mod tag;
mod tap;
mod transfer;
pub mod unpack;

pub use artifact::{Artifact, UnpackedArtifact, unpack_artifact};
pub use attach::attach;
pub use build::{ImageBuilder, Layer, PackOptions};
pub use copy::{CopyItem, CopyOptions, Extent, Foreign, Platforms, Referrers, copy, plan};
pub use place::Place;
pub use plan::{Action, Copied, Plan, Step, Tally};
pub use pull::{PullOptions, pull};
pub use push::{Blob, Image, PushItem, PushOptions, push, push_all};
pub use resolve::{Resolved, resolve};
pub use tag::tag;
pub use unpack::{Unpack, Unpacked};
