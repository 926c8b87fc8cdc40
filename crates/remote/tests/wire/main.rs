//! What goes over the wire: exact requests, in order, for each subtle flow, against a scripted client; and the faults of
//! sockets, against raw loopback servers.
#![expect(clippy::unwrap_used, reason = "tests")]

mod auth;
mod download;
mod listing;
mod manifest;
mod push;
mod redirect;
mod retry;
mod script;
mod socket;
mod upload;
