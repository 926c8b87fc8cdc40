//! Rules of push, by what is pushed: blobs at once, blobs in chunks, blobs that are somewhere already, manifests.

pub mod blobs;
pub mod manifests;
pub mod mounts;
pub mod uploads;
