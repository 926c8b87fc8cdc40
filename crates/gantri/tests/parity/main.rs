//! What other clients get wrong and this one promises, one rule a test, through the public API: our client against a
//! server that answers as the test says, or against the embedded one. `docs/parity.md` names each of them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod access;
mod auth;
mod blobs;
mod configuration;
mod copy;
mod elsewhere;
mod errors;
mod images;
mod large;
mod manifests;
mod pairs;
mod pull;
mod settings;
mod table;
mod tags;
mod walk;
mod world;
mod writing;
