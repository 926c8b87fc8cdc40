//! Harnesses for the tests of gantri: a scripted HTTP server, archives and images made by hand, process helpers.
//!
//! Everything listens on loopback, on a port that the system picks, and ends with the value that started it.

pub mod image;
pub mod process;
pub mod server;
pub mod tar;

pub use image::Image;
pub use server::{Body, Reply, Request, ScriptedServer};
pub use tar::Tar;
