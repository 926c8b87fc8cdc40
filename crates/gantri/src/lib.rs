//! The OCI registry client: pull, unpack, push and serve images.
//!
//! [`Client`] is the paved path: one value for every registry and every image layout, one method for each job.
//!
//! ```no_run
//! # async fn example() -> gantri::Result<()> {
//! use gantri::{Client, Location};
//!
//! let client = Client::builder().build()?;
//! let image: Location = "localhost:5000/team/app:v1".parse()?;
//! let unpacked = client.unpack(&image, "rootfs".as_ref()).await?;
//! println!("{} has {} entries", unpacked.manifest, unpacked.entries);
//! # Ok(())
//! # }
//! ```
//!
//! Below it lie the four traits [`Pull`], [`Push`], [`Discover`] and [`Manage`], which a [`Remote`], a [`Layout`] and
//! [`Memory`] all implement, and the jobs of [`image`] over any of them.
//!
//! | module | holds |
//! | --- | --- |
//! | [`client`] | [`Client`]: pull, unpack, push, copy, tag, attach, build, list, inspect, put, mount, delete |
//! | [`location`] | [`Location`]: a registry reference, `oci:DIR[:TAG]`, or an archive |
//! | [`config`] | configuration files of the ecosystem, read when asked |
//! | [`KeptUploads`] | uploads that the next process goes on with |

pub mod client;
pub mod config;
pub mod location;
mod registries;
mod uploads;

pub use gantri_core as core;
pub use gantri_image as image;
pub use gantri_remote as remote;
#[cfg(feature = "server")]
pub use gantri_server as server;
pub use gantri_spec as spec;
pub use gantri_store as store;

pub use client::{Client, ClientBuilder, Examined, ExaminedStep, Mounted, Pulled};
pub use gantri_core::error::{display_place, display_untrusted};
pub use gantri_core::{
    BlobBody, BlobReader, BlobUpload, ByteStream, Discover, Error, ErrorKind, Event, Limits, Manage, Memory,
    MissingChildren, NoObserver, Observer, Pull, PullExt, Push, PutManifest, Registry, Result,
};
pub use gantri_image::{
    Action, Artifact, Copied, Extent, Foreign, Plan, Platforms, Referrers, Resolved, Step, Tally, Unpacked,
    UnpackedArtifact,
};
pub use gantri_remote::{
    Credential, Credentials, FirstCredentials, HttpVersion, KeptSession, Ping, PlainHttp, RateLimit, Remote, Secret,
    Throttle, UploadSessions,
};
pub use gantri_spec::{Digest, Platform, Reference, Selector, Tag};
pub use gantri_store::{Archive, Layout};
pub use location::{ArchivePath, LayoutPath, Location};
pub use uploads::KeptUploads;
