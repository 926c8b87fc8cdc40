//! What goes over the wire: exact requests, in order, for each subtle flow, against a scripted client; and the faults of
//! sockets, against raw loopback servers.
#![expect(clippy::unwrap_used, reason = "tests")]

mod auth;
mod authorization;
mod challenges;
mod check;
mod delete;
mod download;
mod floods;
mod hostile;
mod http2;
mod listing;
mod manifest;
mod net;
mod network;
mod notes;
mod pace;
mod paging;
mod product;
mod proxy;
mod push;
mod put_manifest;
mod realms;
mod redirect;
mod referrers;
mod referrers_together;
mod repositories;
mod retry;
mod script;
mod socket;
mod tiny;
mod tls;
mod upload;
