//! The behaviour suite through the wire: our client against our server, over each registry that it can serve, in both
//! versions of HTTP; over filters; and over another client, which makes the server a proxy.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod filters;
mod proxy;
mod quirks;
mod raw;

use std::any::Any;
use std::sync::Arc;

use gantri::remote::HttpVersion;
use gantri::server::access::{Basic, Permissions, Tokens, Users};
use gantri::server::{Server, ServerOptions};
use gantri::{Credential, Layout, Memory, Registry, Remote};
use gantri_core::registry_suite;
use gantri_core::testkit::{Feature, Profile, Subject};
use tokio::task::JoinSet;

registry_suite! {
    remote_server_memory_http1 => async { served(Arc::new(Memory::new()), HttpVersion::Http1, ()).await };
    profile: Profile::FULL;
}

registry_suite! {
    remote_server_memory_http2 => async { served(Arc::new(Memory::new()), HttpVersion::Http2, ()).await };
    profile: Profile::FULL;
}

registry_suite! {
    remote_server_layout_http1 => async { served_layout(HttpVersion::Http1).await };
    profile: Profile::FULL.without(Feature::Repositories);
}

registry_suite! {
    remote_server_layout_http2 => async { served_layout(HttpVersion::Http2).await };
    profile: Profile::FULL.without(Feature::Repositories);
}

registry_suite! {
    remote_server_tree_http1 => async { served_tree(HttpVersion::Http1).await };
    profile: Profile::FULL;
}

registry_suite! {
    remote_server_tree_http2 => async { served_tree(HttpVersion::Http2).await };
    profile: Profile::FULL;
}

registry_suite! {
    remote_server_memory_basic => async {
        guarded(ServerOptions::default().with_access(Basic::new(users(), Permissions::users()))).await
    };
    profile: Profile::FULL;
}

registry_suite! {
    remote_server_memory_token => async {
        guarded(ServerOptions::default().with_access(Tokens::new(users(), Permissions::users()).unwrap())).await
    };
    // A mount from wherever would tell who asks what lies where he may not look (R6).
    profile: Profile::FULL.without(Feature::MountAnywhere);
}

/// `ann` with the password `secret`, at the lowest cost.
fn users() -> Users {
    Users::parse("ann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW").unwrap()
}

/// A server that asks who is there, and a client that has something to answer.
async fn guarded(options: ServerOptions) -> Subject {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Arc::new(Memory::new()), options).await.unwrap();
    let host = server.local_addr().to_string().parse().unwrap();
    let remote = Remote::builder(host).credentials(Arc::new(Credential::basic("ann", "secret"))).build().unwrap();
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));
    Subject::new(remote).holding(running)
}

async fn served_layout(version: HttpVersion) -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::create(dir.path()).await.unwrap();
    served(Arc::new(layout), version, dir).await
}

async fn served_tree(version: HttpVersion) -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let tree = Layout::tree(dir.path()).await.unwrap();
    served(Arc::new(tree), version, dir).await
}

/// The registry behind a server of its own, and a client of that; what the registry lives in goes last.
async fn served(registry: Arc<dyn Registry>, version: HttpVersion, home: impl Any + Send) -> Subject {
    let (remote, running) = remote_of(registry, version).await;
    Subject::new(remote).holding(home).holding(running)
}

/// A client of a server of this registry, and the server, which ends when it is dropped.
async fn remote_of(registry: Arc<dyn Registry>, version: HttpVersion) -> (Remote, Running) {
    let (host, running) = serve(registry).await;
    (Remote::builder(host.parse().unwrap()).http_version(version).build().unwrap(), running)
}

/// Where the registry is served, and the server.
async fn serve(registry: Arc<dyn Registry>) -> (String, Running) {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), registry, ServerOptions::default()).await.unwrap();
    let host = server.local_addr().to_string();
    // Dropped with the set, and the set with the test.
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));
    (host, running)
}

type Running = JoinSet<gantri::Result<()>>;
