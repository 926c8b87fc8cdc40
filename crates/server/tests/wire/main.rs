//! What the server says on the wire, to the letter, over a registry in memory.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod connection;
mod discover;
mod harness;
mod manage;
mod pull;
mod push;
mod push_manifest;
mod quirks;
mod session;
mod upload_model;
