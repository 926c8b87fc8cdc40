//! The world of one cell: a registry in memory that wants tokens, the proxy before it, and a client that is led to the
//! proxy wherever it dials. Its clock is paused: nothing is waited for in earnest.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use gantri::remote::{Connection, Dial, Pem, PlainHttp, Resolve, Tls};
use gantri::server::access::{Permissions, Tokens, Users};
use gantri::server::{RegistryService, ServerOptions};
use gantri::{Credential, Limits, Memory, Remote};
use gantri_core::{BlobBody, Push, Registry};
use gantri_spec::{Descriptor, Digest, MediaType, RawManifest, RepositoryName};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use test_support::fault::{Certificates, FaultProxy, MemoryProxy, Mode, Pipe, Record, Upstream};
use tokio::task::JoinSet;
use tower_service::Service;

/// The registry's name; nothing but this may ever see a secret.
pub(crate) const REGISTRY: &str = "registry.test";

/// Where redirects and locations lead that lead elsewhere.
pub(crate) const ELSEWHERE: &str = "storage.test";

/// The password of `ann`: it must be found nowhere but at the registry.
pub(crate) const CANARY: &str = "canary-of-the-matrix";

/// `ann` and the canary, at the lowest cost.
const USERS: &str = "ann:$2b$04$abcdefghijklmnopqrstuudkPzZY4wleYiRkerm/jz10FU/zpb41y";

/// What the registry holds, and what is pushed to it.
pub(crate) struct Content {
    pub(crate) repo: RepositoryName,
    pub(crate) other: RepositoryName,
    pub(crate) blob: Bytes,
    pub(crate) new_blob: Bytes,
    pub(crate) manifest: RawManifest,
    pub(crate) new_manifest: RawManifest,
    pub(crate) tags: usize,
    pub(crate) referrers: usize,
}

impl Content {
    /// The same for every cell.
    pub(crate) fn get() -> &'static Self {
        static CONTENT: OnceLock<Content> = OnceLock::new();
        CONTENT.get_or_init(|| {
            let (blob, new_blob) = (noise(1), noise(2));
            let (manifest, new_manifest) = (image(&blob, "there"), image(&blob, "new"));
            let [repo, other] = ["team/app", "team/base"].map(|name| name.parse().unwrap());
            Self { repo, other, blob, new_blob, manifest, new_manifest, tags: 30, referrers: 3 }
        })
    }

    /// A registry that holds it.
    async fn stored(&self) -> Arc<Memory> {
        let registry = Arc::new(Memory::new());
        for (repo, blob) in [(&self.repo, &self.blob), (&self.repo, &CONFIG), (&self.other, &self.new_blob)] {
            let blob = blob.clone();
            let descriptor = Descriptor::of(MediaType::OCTET_STREAM, &blob);
            registry.put_blob(repo, &descriptor, BlobBody::bytes(blob)).await.unwrap();
        }
        let tags: Vec<_> = (0..self.tags).map(|tag| format!("tag-{tag:02}").parse().unwrap()).collect();
        registry.put_manifest(&self.repo, &self.manifest, &tags).await.unwrap();
        let referrers: Vec<_> = (0..self.referrers).map(|number| referrer(&self.manifest, number)).collect();
        for referrer in &referrers {
            registry.put_manifest(&self.repo, referrer, &[]).await.unwrap();
        }
        // Whoever does not get them from the API finds them here.
        let tag = self.manifest.digest().to_string().replace(':', "-").parse().unwrap();
        registry.put_manifest(&self.repo, &list(&referrers), &[tag]).await.unwrap();
        registry
    }
}

static CONFIG: Bytes = Bytes::from_static(b"{}");

/// 64 KiB that do not repeat.
fn noise(seed: u64) -> Bytes {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..64 << 10).map(|_| next()).collect::<Vec<u8>>().into()
}

fn image(layer: &Bytes, name: &str) -> RawManifest {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST.as_str(),
        "config": described(&CONFIG, &MediaType::OCI_CONFIG),
        "layers": [described(layer, &MediaType::OCI_LAYER)],
        "annotations": {"name": name},
    });
    RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string().into())
}

fn referrer(subject: &RawManifest, number: usize) -> RawManifest {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST.as_str(),
        "artifactType": "application/vnd.test.note",
        "config": described(&CONFIG, &MediaType::OCI_CONFIG),
        "layers": [],
        "subject": described(subject.bytes(), &MediaType::OCI_MANIFEST),
        "annotations": {"number": number.to_string()},
    });
    RawManifest::new(MediaType::OCI_MANIFEST, manifest.to_string().into())
}

fn list(manifests: &[RawManifest]) -> RawManifest {
    let described = manifests.iter().map(|manifest| described(manifest.bytes(), &MediaType::OCI_MANIFEST));
    let index = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_INDEX.as_str(),
        "manifests": described.collect::<Vec<_>>(),
    });
    RawManifest::new(MediaType::OCI_INDEX, index.to_string().into())
}

fn described(bytes: &Bytes, kind: &MediaType) -> serde_json::Value {
    json!({"mediaType": kind.as_str(), "digest": Digest::of(bytes).to_string(), "size": bytes.len()})
}

/// A cell's world; ends with all its tasks when it is dropped.
pub(crate) struct World {
    pub(crate) remote: Remote,
    pub(crate) registry: Arc<Memory>,
    proxy: Arc<MemoryProxy>,
    _serving: Arc<Mutex<JoinSet<()>>>,
}

impl World {
    /// The world in which `break_it` was done to the proxy; the registry is reached by https if `secure`.
    pub(crate) async fn new(secure: Scheme, break_it: impl FnOnce(FaultProxy) -> FaultProxy) -> Self {
        let registry = Content::get().stored().await;
        let (upstream, serving) = served(Arc::clone(&registry) as Arc<dyn Registry>, secure);
        let mut plan = FaultProxy::before(upstream).authorized_only();
        if secure == Scheme::Https {
            plan = plan.tls(certificates());
        }
        let proxy = Arc::new(break_it(plan).in_memory(ELSEWHERE));
        let road: Arc<Road> = Arc::new(Road(Arc::clone(&proxy)));
        let mut limits = Limits::default();
        (limits.chunk, limits.expect_from) = (16 << 10, 32 << 10);
        let builder = Remote::builder(REGISTRY.parse().unwrap())
            .credentials(Arc::new(Credential::basic("ann", CANARY)))
            .limits(limits)
            .resolver(Arc::clone(&road) as Arc<dyn Resolve>)
            .dialer(road);
        let builder = match secure {
            Scheme::Http => builder.plain_http(PlainHttp::AlwaysWithSecrets),
            Scheme::Https => builder.tls(trusting()),
        };
        Self { remote: builder.build().unwrap(), registry, proxy, _serving: serving }
    }

    /// What the proxy was asked.
    pub(crate) fn records(&self) -> Vec<Record> {
        self.proxy.records()
    }
}

/// How the registry is reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// One authority for all cells: keys take their time.
pub(crate) fn certificates() -> Arc<Certificates> {
    static CERTIFICATES: OnceLock<Arc<Certificates>> = OnceLock::new();
    Arc::clone(CERTIFICATES.get_or_init(|| Arc::new(Certificates::new(&[REGISTRY, ELSEWHERE]))))
}

/// Who trusts that authority and nobody else.
fn trusting() -> Tls {
    let authority = Pem::new("the matrix", certificates().authority());
    Tls::default().without_system_roots().roots(&authority).unwrap()
}

/// Shared by all cells, because a password that was right once is not checked slowly again.
static KNOWN: OnceLock<Users> = OnceLock::new();

/// Connections to the registry, each served by a task.
fn served(registry: Arc<dyn Registry>, secure: Scheme) -> (Upstream, Arc<Mutex<JoinSet<()>>>) {
    let url = match secure {
        Scheme::Http => format!("http://{REGISTRY}"),
        Scheme::Https => format!("https://{REGISTRY}"),
    };
    let users = KNOWN.get_or_init(|| Users::parse(USERS).unwrap()).clone();
    let tokens = Tokens::new(users, Permissions::users()).unwrap();
    let service = RegistryService::new(registry, ServerOptions::default().with_url(url).with_access(tokens));
    let serving = Arc::new(Mutex::new(JoinSet::new()));
    let tasks = Arc::clone(&serving);
    let upstream = Upstream::memory(move || {
        let (near, far) = Pipe::pair(64 << 10);
        let service = service.clone();
        tasks.lock().unwrap().spawn(async move {
            let service = service_fn(move |request| service.clone().call(request));
            // A proxy that breaks off is what this is about.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(far), service).await;
        });
        near
    });
    (upstream, serving)
}

/// All names lead to one network, and all its addresses to the proxy.
struct Road(Arc<MemoryProxy>);

#[async_trait::async_trait]
impl Resolve for Road {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(match name {
            REGISTRY => vec![[10, 0, 0, 1].into()],
            ELSEWHERE => vec![[10, 0, 0, 2].into()],
            _ => Vec::new(),
        })
    }
}

#[async_trait::async_trait]
impl Dial for Road {
    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        Ok(Box::new(self.0.dial(to)?))
    }
}

impl fmt::Debug for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Road")
    }
}

/// Whether a mode is about https.
pub(crate) fn scheme_of(mode: Mode) -> Scheme {
    use test_support::fault::{Detour, UploadMode};
    match mode {
        Mode::Tls(_) | Mode::Redirect(Detour::ToHttp) | Mode::Upload(UploadMode::LocationDowngrade) => Scheme::Https,
        _ => Scheme::Http,
    }
}
