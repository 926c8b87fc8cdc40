//! Harnesses for the tests of gantri: a scripted HTTP server, archives and images made by hand, a model of layers,
//! process helpers.
//!
//! Everything listens on loopback, on a port that the system picks, and ends with the value that started it.

#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a harness that can't be set up ends the test that wanted it"
)]

pub mod fault;
pub mod image;
pub mod layers;
pub mod mask;
pub mod process;
pub mod raw;
pub mod refusal;
pub mod server;
pub mod tar;
pub mod trace;

pub use image::Image;
pub use process::{Ran, Running, Scene};
pub use raw::RawServer;
pub use refusal::Refusal;
pub use server::{Body, Reply, Request, ScriptedServer};
pub use tar::Tar;
