//! Credentials that differ between the repositories of one host.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::TryStreamExt;
use gantri_core::{Discover, Pull, Push, Result};
use gantri_remote::{Credential, Credentials, Remote};
use gantri_spec::{Host, RepositoryName};

use crate::script::{Reply, Script, Seen, builder, tag};

/// The same name for each repository, with a password of its own.
#[derive(Debug, Default)]
struct ByRepository {
    asked: Mutex<Vec<String>>,
    apart: bool,
}

#[async_trait]
impl Credentials for ByRepository {
    async fn credential(&self, host: &Host, repository: Option<&RepositoryName>) -> Result<Credential> {
        let name = repository.map_or("whole", RepositoryName::as_str);
        self.asked.lock().unwrap().push(format!("{host} {name}"));
        Ok(Credential::basic("me", name))
    }

    fn by_repository(&self, _host: &Host) -> bool {
        self.apart
    }
}

fn credentials(apart: bool) -> Arc<ByRepository> {
    Arc::new(ByRepository { apart, ..ByRepository::default() })
}

fn remote(script: &Arc<Script>, credentials: &Arc<ByRepository>) -> Remote {
    builder(script).credentials(Arc::clone(credentials) as Arc<dyn Credentials>).build().unwrap()
}

fn repo(name: &str) -> RepositoryName {
    name.parse().unwrap()
}

/// `Basic me:WHOM`.
fn is_by(seen: &Seen, encoded: &str) -> bool {
    seen.authorization() == Some(&format!("Basic {encoded}"))
}

const AB: &str = "bWU6YS9i";
const CD: &str = "bWU6Yy9k";
const WHOLE: &str = "bWU6d2hvbGU=";

/// A repository's own credential goes with its requests and with no other's, and each is looked up once; a mount is asked
/// for as whoever may write to the target.
#[tokio::test]
async fn each_repository_is_asked_about_and_gets_its_own() {
    let script = Script::new(|seen, _| {
        let expected = [("/a/b/", AB), ("/c/d/", CD), ("_catalog", WHOLE)];
        let (_, whom) = expected.into_iter().find(|(part, _)| seen.url.contains(part)).unwrap();
        match seen.authorization() {
            Some(_) if is_by(seen, whom) && seen.method == "POST" => {
                Reply::status(201).header("location", "/v2/c/d/blobs/x")
            }
            Some(_) if is_by(seen, whom) => Reply::ok(r#"{"tags":[],"repositories":[]}"#),
            Some(other) => panic!("{other} sent to {}", seen.url),
            None => Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
        }
    });
    let credentials = credentials(true);
    let remote = remote(&script, &credentials);
    for name in ["a/b", "c/d", "a/b", "c/d"] {
        remote.tags(&repo(name), None).try_collect::<Vec<_>>().await.unwrap();
    }
    remote.repositories(None).try_collect::<Vec<_>>().await.unwrap();
    let digest = gantri_spec::Digest::of(b"x");
    remote.mount_blob(&repo("c/d"), &digest, Some(&repo("a/b"))).await.unwrap();
    let asked = credentials.asked.lock().unwrap().clone();
    assert_eq!(asked, ["registry.test a/b", "registry.test c/d", "registry.test whole"]);
}

/// Who does not tell repositories apart is asked once for the host.
#[tokio::test]
async fn a_host_of_one_credential_is_asked_about_once() {
    let script = Script::new(|seen, _| {
        if is_by(seen, WHOLE) {
            Reply::ok(r#"{"tags":[]}"#)
        } else {
            Reply::status(401).header("www-authenticate", "Basic realm=\"x\"")
        }
    });
    let credentials = credentials(false);
    let remote = remote(&script, &credentials);
    for name in ["a/b", "c/d"] {
        remote.tags(&repo(name), None).try_collect::<Vec<_>>().await.unwrap();
    }
    assert_eq!(*credentials.asked.lock().unwrap(), ["registry.test whole"]);
}

/// A9: a token that was got with one repository's password does not serve another's, though the name be the same and the
/// token server generous.
#[tokio::test]
async fn a_token_is_kept_for_the_repository_whose_credential_got_it() {
    let script = Script::new(|seen, _| {
        if seen.url.starts_with("https://auth.test/token") {
            let name = if is_by(seen, AB) { "ab" } else { "cd" };
            return Reply::ok(format!(r#"{{"token":"{name}","expires_in":300}}"#));
        }
        let (scope, token) = if seen.url.contains("/a/b/") {
            ("repository:a/b:pull repository:c/d:pull", "Bearer ab")
        } else {
            ("repository:c/d:pull repository:a/b:pull", "Bearer cd")
        };
        match seen.authorization() {
            Some(sent) if sent == token => Reply::ok(r#"{"schemaVersion":2,"manifests":[]}"#)
                .header("content-type", "application/vnd.oci.image.index.v1+json"),
            Some(other) => panic!("{other} sent to {}", seen.url),
            None => Reply::status(401).header(
                "www-authenticate",
                format!(r#"Bearer realm="https://auth.test/token",service="s",scope="{scope}""#),
            ),
        }
    });
    let remote = remote(&script, &credentials(true));
    remote.manifest(&repo("a/b"), &tag("v1")).await.unwrap();
    remote.manifest(&repo("c/d"), &tag("v1")).await.unwrap();
    remote.manifest(&repo("a/b"), &tag("v1")).await.unwrap();
}
