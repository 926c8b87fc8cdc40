//! What a registry *is*.
//!
//! A registry is anything that keeps named repositories of blobs, manifests and tags: a server far away, a directory, a
//! map in memory. All are values of the four traits [`Pull`], [`Push`], [`Discover`] and [`Manage`], named after the four
//! workflows of the OCI distribution spec; [`Registry`] is all of them.
//!
//! | module | holds |
//! | --- | --- |
//! | [`registry`] | the four traits and what they answer with |
//! | [`blob`] | verified readers, replayable bodies, uploads |
//! | [`filter`] | registries around registries: read-only, immutable, a part, with mirrors, traced |
//! | [`memory`] | [`Memory`]: a registry in a map |
//! | [`error`] | one [`Error`] for every backend and job |
//! | [`limits`] | every bound, with its unit and its reason |
//! | [`progress`] | what a job tells while it runs |
//! | `testkit` | the behaviour suite that every backend must pass (feature `testkit`) |

pub mod blob;
pub mod error;
pub mod filter;
pub mod limits;
pub mod memory;
pub mod progress;
pub mod registry;
#[cfg(feature = "testkit")]
pub mod testkit;

pub use gantri_spec as spec;

#[doc(hidden)]
pub use registry::forward::vocabulary as __vocabulary;

pub use blob::{BlobBody, BlobReader, BlobUpload, ByteStream, Seams, UploadSession, verify};
pub use error::{Error, ErrorKind, Result, Retry};
pub use limits::Limits;
pub use memory::Memory;
pub use progress::{Event, NoObserver, Observer};
pub use registry::{
    Discover, Manage, MissingChildren, Mount, Pull, PullExt, Push, PutManifest, Registry, body_of, send_body,
};
