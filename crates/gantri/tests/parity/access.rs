//! Our client's tokens against our server's: got, shared, renewed, and too narrow for what their holder may not do.

use std::sync::Arc;
use std::time::Duration;

use gantri::server::access::{Action, Over, Permissions, Tokens, Users, Who};
use gantri::server::{Server, ServerOptions};
use gantri::spec::{ByteRange, Descriptor, MediaType, RepositoryName};
use gantri::{BlobBody, Credential, ErrorKind, Memory, Pull, Push, Remote};
use gantri_core::{Manage, Mount};
use tokio::task::JoinSet;

use crate::world::bare;

/// A server with tokens of this lifetime, for the memory behind it.
async fn start(memory: &Memory, lifetime: Duration) -> (String, JoinSet<gantri::Result<()>>) {
    // `ann` with the password `secret`, at the lowest cost.
    let users = Users::parse("ann:$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW").unwrap();
    let all = [Action::Pull, Action::Push, Action::Delete];
    let permissions = Permissions::none()
        .allow(Who::Anyone, Over::Repository(repo("open/app")), &[Action::Pull])
        .allow(Who::User("ann".into()), Over::Below(repo("ann")), &all);
    let tokens = Tokens::new(users, permissions).unwrap().with_lifetime(lifetime);
    let options = ServerOptions::default().with_access(tokens);
    let server = Server::bind(([127, 0, 0, 1], 0).into(), Arc::new(memory.clone()), options).await.unwrap();
    let host = server.local_addr().to_string();
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));
    (host, running)
}

fn repo(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

fn client(host: &str, credential: Credential) -> Remote {
    Remote::builder(host.parse().unwrap()).credentials(Arc::new(credential)).build().unwrap()
}

fn ann() -> Credential {
    Credential::basic("ann", "secret")
}

/// All that a token is for, with tokens that last and with tokens that are over before they are used.
#[tokio::test]
async fn every_verb_gets_its_token_from_the_servers_own_endpoint() {
    for lifetime in [Duration::from_secs(300), Duration::from_secs(1)] {
        let memory = Memory::new();
        let (host, _running) = start(&memory, lifetime).await;
        let remote = client(&host, ann());
        let (app, other) = (repo("ann/app"), repo("ann/other"));
        let (manifest, config) = bare("{}");
        remote.put_blob(&app, &config, BlobBody::bytes("{}")).await.unwrap();
        remote.put_manifest(&app, &manifest, &["v1".parse().unwrap()]).await.unwrap();
        let mounted = remote.mount_blob(&other, &config.digest, Some(&app)).await.unwrap();
        assert!(matches!(mounted, Mount::Mounted), "{mounted:?}");
        let blob = remote.blob(&other, &config.digest, ByteRange::Full).await.unwrap();
        assert_eq!(blob.bytes(9).await.unwrap(), "{}");
        remote.delete_tag(&app, &"v1".parse().unwrap()).await.unwrap();
        assert_eq!(
            memory.resolve_manifest(&app, &"v1".parse().unwrap()).await.unwrap_err().kind(),
            ErrorKind::ManifestUnknown
        );
    }
}

#[tokio::test]
async fn who_may_not_is_told_so_after_a_bounded_number_of_tries() {
    let memory = Memory::new();
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"x");
    for name in ["open/app", "secret/app"] {
        memory.put_blob(&repo(name), &blob, BlobBody::bytes("x")).await.unwrap();
    }
    let (host, _running) = start(&memory, Duration::from_secs(300)).await;
    let refusal = async |remote: &Remote, name: &str| {
        let answer = remote.resolve_blob(&repo(name), &blob.digest).await;
        answer.map(|found| found.size).map_err(|error| error.kind())
    };
    for (who, open) in [(Credential::Anonymous, Ok(1)), (ann(), Ok(1))] {
        let remote = client(&host, who);
        assert_eq!(refusal(&remote, "open/app").await, open);
        assert_eq!(refusal(&remote, "secret/app").await, Err(ErrorKind::Unauthorized));
        assert_eq!(refusal(&remote, "absent/app").await, Err(ErrorKind::Unauthorized));
    }
    let wrong = client(&host, Credential::basic("ann", "guess"));
    assert_eq!(refusal(&wrong, "open/app").await, Err(ErrorKind::Unauthorized));
    // What may not be read is not mounted; the blob can be sent instead.
    let remote = client(&host, ann());
    let answer = remote.mount_blob(&repo("ann/app"), &blob.digest, Some(&repo("secret/app"))).await.unwrap();
    assert!(!matches!(answer, Mount::Mounted), "{answer:?}");
}
