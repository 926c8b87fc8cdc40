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
