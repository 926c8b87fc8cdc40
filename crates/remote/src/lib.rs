//! A registry behind HTTP: [`Remote`].
//!
//! A [`Remote`] is a handle on one host. It implements the four traits of `gantri-core`, and so is used like a registry in a
//! directory or in memory:
//!
//! ```no_run
//! use gantri_core::{Limits, Pull, PullExt};
//! use gantri_remote::Remote;
//! use gantri_spec::Reference;
//!
//! # async fn pull() -> Result<(), Box<dyn std::error::Error>> {
//! let reference: Reference = "ghcr.io/a/b:v1".parse()?;
//! let remote = Remote::builder(reference.host().clone()).build()?;
//! let manifest = remote.manifest(reference.repository(), &reference.selector()).await?;
//! for child in manifest.parse()?.children() {
//!     let bytes = remote.blob_bytes(reference.repository(), child, &Limits::default()).await?;
//!     println!("{} {}", child.digest, bytes.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Who asks is a value too; it is sent to nobody before the registry has asked:
//!
//! ```
//! use std::sync::Arc;
//!
//! use gantri_remote::{Credential, Remote};
//!
//! let me = Credential::basic("me", "correct horse");
//! let remote = Remote::builder("registry.example:5000".parse()?).credentials(Arc::new(me)).build()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | decides |
//! | --- | --- |
//! | `http` | how bytes reach a host: the seam [`HttpClient`], the built-in client, where server-supplied URLs may lead |
//! | `auth` | who asks: challenges, tokens, [`Credentials`] |
//! | `transport` | the life of one request: redirects, challenges, retries, the throttle, timeouts |
//! | `pull`, `push`, `discover`, `manage` | the four workflows of the distribution spec, over the transport |
//! | `check` | whether there is a registry that lets us in, or would let us write |
//! | `referrers` | the tag scheme, for registries that list no referrers themselves |
//! | `habits` | what a registry has shown of itself, so that nothing is tried in vain twice |
//! | [`RemoteBuilder`] | what the user says about a registry |
//!
//! Values come in from outside: nothing here reads the environment or a file.

mod auth;
mod builder;
mod check;
mod discover;
mod download;
mod habits;
mod http;
mod manage;
mod manifest;
mod pages;
mod pull;
mod push;
mod put_manifest;
mod referrers;
mod remote;
mod transport;
mod untag;
mod upload;

pub use self::auth::{Credential, Credentials, FirstCredentials, Secret};
pub use self::builder::{HttpVersion, PlainHttp, RemoteBuilder};
pub use self::check::Ping;
pub use self::http::{
    Body, Connection, Destination, Dial, HttpClient, Pem, Proxies, Proxy, Resolve, SendError, SendErrorKind, Tls,
};
pub use self::remote::Remote;
pub use self::transport::{RateLimit, Throttle};
pub use self::upload::{KeptSession, UploadSessions};
