//! A registry behind HTTP: [`Remote`].
//!
//! | module | decides |
//! | --- | --- |
//! | `http` | how bytes reach a host: the seam [`HttpClient`], the built-in client, where server-supplied URLs may lead |
//! | `auth` | who asks: challenges, tokens, [`Credentials`] |
//! | `transport` | the life of one request: redirects, challenges, retries, the throttle, timeouts |
//! | `pull`, `push`, `discover`, `manage` | the four workflows of the distribution spec, over the transport |
//! | [`RemoteBuilder`] | what the user says about a registry |
//!
//! Values come in from outside: nothing here reads the environment or a file.

mod auth;
mod builder;
mod discover;
mod download;
mod http;
mod manage;
mod manifest;
mod pages;
mod pull;
mod push;
mod remote;
mod transport;
mod upload;

pub use self::auth::{Credential, Credentials, Secret};
pub use self::builder::{HttpVersion, PlainHttp, RemoteBuilder};
pub use self::http::{Body, Destination, HttpClient, SendError, SendErrorKind};
pub use self::remote::Remote;
