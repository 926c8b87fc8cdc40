//! Guards of the layout on disk that the contract of the traits does not speak of, by the rows of the security list.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archive;
mod collect;
mod common;
mod crowd;
mod disk;
mod hostile;
mod index;
mod partial;
mod tree;
