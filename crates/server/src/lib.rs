//! Any registry, served over HTTP.
//!
//! A [`Server`] listens; a [`RegistryService`] answers requests and can be mounted in any `tower` or `hyper` stack. Both
//! speak the OCI distribution spec over whatever implements [`gantri_core::Registry`]: a map in memory, a directory,
//! another registry. Neither keeps any state of its own but the uploads that are under way.
//!
//! ```
//! use std::sync::Arc;
//!
//! use gantri_core::Memory;
//! use gantri_server::{Server, ServerOptions};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let loopback = ([127, 0, 0, 1], 0).into();
//! let server = Server::bind(loopback, Arc::new(Memory::new()), ServerOptions::default()).await?;
//! let url = server.url();
//! // Whatever ends this future ends the server.
//! server.run(async move { assert!(url.starts_with("http://127.0.0.1:")) }).await?;
//! # Ok::<_, gantri_core::Error>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | decides |
//! | --- | --- |
//! | [`listen`] | who is let in, how long they may idle, how it all ends |
//! | [`service`] | which handler answers a request |
//! | `pull`, `push`, `discover`, `manage` | one handler an endpoint, sorted as the spec sorts them |
//! | `uploads` | what lives between the requests of an upload |
//! | `pulse` | whether a client still takes what it asked for |
//! | `body` | request bodies as streams, with their bounds |
//! | `respond` | errors and successes as responses |
//! | [`access`] | who may do what |
//! | [`quirks`] | misbehaviour on demand |
//! | [`options`] | every knob |

pub mod access;
mod body;
mod discover;
pub mod listen;
mod manage;
pub mod options;
mod pull;
mod pulse;
mod push;
pub mod quirks;
mod respond;
pub mod service;
mod uploads;

pub use access::Access;
pub use listen::Server;
pub use options::ServerOptions;
pub use quirks::Quirk;
pub use respond::ResponseBody;
pub use service::RegistryService;
