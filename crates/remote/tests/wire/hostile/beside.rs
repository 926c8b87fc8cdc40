//! What must not be refused, for it is how registries inside a network are built: token server and storage beside them, by
//! name and by address, with nothing said but that http will do (issue "over-correction").

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::TryStreamExt;
use gantri_core::{Discover, Pull, Push};
use gantri_remote::{Credential, Dial, PlainHttp, Remote, Resolve};
use gantri_spec::{ByteRange, Descriptor, Digest, MediaType};

use super::forms::names;
use super::network::{Asked, Network, answer};
use crate::script::{repo, tag};

const BLOB: &[u8] = b"a layer";
const MANIFEST: &str = r#"{"schemaVersion":2,"manifests":[]}"#;
const BASIC: &str = "Basic bWU6Y2FuYXJ5";

/// A registry, its token server and its storage.
#[derive(Clone, Copy)]
struct Site {
    registry: &'static str,
    realm: &'static str,
    storage: &'static str,
}

impl Site {
    /// Answers as whoever stands at this address does; `guarded` if somebody must be named.
    fn answer(self, guarded: bool, asked: &Asked) -> Vec<u8> {
        let (target, authorization) = (asked.target(), asked.header("authorization"));
        if target.starts_with("/token") {
            assert_eq!(authorization, guarded.then_some(BASIC));
            return answer(200, &[], r#"{"token":"t"}"#);
        }
        if target.starts_with("/storage") {
            assert_eq!(authorization, None, "storage gets no token");
            return answer(if asked.method() == "GET" { 200 } else { 201 }, &[], BLOB);
        }
        if authorization != Some("Bearer t") {
            let challenge = format!(r#"Bearer realm="{}",service="s""#, self.realm);
            return answer(401, &[("www-authenticate", &challenge)], "");
        }
        match (asked.method(), target.contains("/blobs/uploads/")) {
            ("GET", _) if target.contains("/blobs/") => answer(307, &[("location", self.storage)], ""),
            ("GET", _) if target.contains("/tags/") => answer(200, &[], r#"{"name":"a/b","tags":["v1"]}"#),
            ("GET", _) => answer(200, &[("content-type", "application/vnd.oci.image.index.v1+json")], MANIFEST),
            ("HEAD", _) => answer(404, &[], ""),
            ("POST", true) => answer(202, &[("location", self.storage)], ""),
            _ => answer(400, &[], ""),
        }
    }

    async fn works(self, credential: Credential, plain_http: PlainHttp) {
        let guarded = !credential.is_anonymous();
        let network = Network::new(names, move |asked| self.answer(guarded, asked));
        let remote = Remote::builder(self.registry.parse().unwrap())
            .plain_http(plain_http)
            .credentials(Arc::new(credential))
            .resolver(Arc::clone(&network) as Arc<dyn Resolve>)
            .dialer(Arc::clone(&network) as Arc<dyn Dial>)
            .build()
            .unwrap();
        let name = format!("{} {} {}", self.registry, self.realm, self.storage);
        remote.ping().await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        remote.manifest(&repo(), &tag("v1")).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        remote.tags(&repo(), None).try_collect::<Vec<_>>().await.unwrap();
        let reader = remote.blob(&repo(), &Digest::of(BLOB), ByteRange::Full).await;
        let reader = reader.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(reader.bytes(100).await.unwrap(), BLOB);
        let descriptor = Descriptor::of(MediaType::OCTET_STREAM, BLOB);
        let body = gantri_core::BlobBody::bytes(BLOB);
        remote.put_blob(&repo(), &descriptor, body).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let reached: Vec<IpAddr> = network.heard().iter().map(|heard| heard.at.ip()).collect();
        assert!(reached.len() >= 3, "{name}: registry, token server and storage: {reached:?}");
    }
}

const REALMS: [&str; 4] = [
    "http://10.0.0.6:5001/token",
    "http://auth.inside.test/token",
    "http://[fd00::6]/token",
    "http://100.64.0.9/token",
];
const STORAGES: [&str; 4] = [
    "http://10.0.0.7:9000/storage",
    "http://storage.inside.test/storage",
    "http://[fd00::7]/storage",
    "http://192.168.7.7/storage",
];

/// A registry at a private address with a token server and storage on the same network, each by name and by address.
#[tokio::test(start_paused = true)]
async fn a_registry_inside_has_its_token_server_and_storage_beside_it() {
    for registry in ["10.0.0.5:5000", "inside.test", "[fd00::5]:5000", "inside6.test"] {
        for realm in REALMS {
            for storage in STORAGES {
                let site = Site { registry, realm, storage };
                site.works(Credential::Anonymous, PlainHttp::Always).await;
                site.works(Credential::basic("me", "canary"), PlainHttp::AlwaysWithSecrets).await;
            }
        }
    }
}

/// The same on one machine, where nothing has to be said at all.
#[tokio::test(start_paused = true)]
async fn a_registry_on_this_machine_has_its_token_server_and_storage_on_other_ports() {
    for registry in ["127.0.0.1:5000", "localhost:5000", "[::1]:5000"] {
        for realm in ["http://127.0.0.1:5001/token", "http://localhost:5001/token", "http://[::1]:5001/token"] {
            for storage in ["http://localhost:9000/storage", "http://127.0.0.1:9000/storage"] {
                let site = Site { registry, realm, storage };
                site.works(Credential::basic("me", "canary"), PlainHttp::Auto).await;
            }
        }
    }
}

/// Storage and token servers on the public internet are open to registries on every side of it.
#[tokio::test(start_paused = true)]
async fn everybody_may_lead_to_the_public_internet() {
    for registry in ["registry.test", "10.0.0.5:5000", "inside6.test", "127.0.0.1:5000"] {
        let site = Site { registry, realm: "http://auth.test/token", storage: "http://cdn.test/storage" };
        site.works(Credential::Anonymous, PlainHttp::Always).await;
    }
}
