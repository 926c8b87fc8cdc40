//! What the tests share: images of known content, clients, the embedded server, and an order for what arrives.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use gantri::server::{Server, ServerOptions};
use gantri::spec::{Descriptor, ImageManifest, MediaType, RawManifest, RepositoryName};
use gantri::{
    BlobBody, Client, Digest, Event, LayoutPath, Limits, Location, Memory, Observer, Platform, Push, Remote, Tag,
};
use test_support::{Image, ScriptedServer, Tar};
use tokio::task::JoinSet;

/// Longer than anything here takes, shorter than anybody waits.
const LONG: Duration = Duration::from_secs(20);
/// Longer than a request takes to arrive.
const SHORT: Duration = Duration::from_millis(100);

pub(crate) fn client() -> Client {
    Client::builder().build().unwrap()
}

pub(crate) fn client_for(platform: &str) -> Client {
    Client::builder().platform(platform.parse().unwrap()).build().unwrap()
}

pub(crate) fn remote(server: &ScriptedServer) -> Remote {
    Remote::builder(server.host().parse().unwrap()).build().unwrap()
}

pub(crate) fn repo() -> RepositoryName {
    "team/app".parse().unwrap()
}

/// `team/app` with this behind it, at this host.
pub(crate) fn at(host: &str, rest: &str) -> Location {
    format!("{host}/team/app{rest}").parse().unwrap()
}

/// An image of so many layers, each of which writes its number to `who` and leaves a file of its own.
pub(crate) fn image(layers: usize) -> Image {
    let layer = |at: usize| Tar::new().file("who", at.to_string()).file(&format!("layer{at}"), "").finish();
    Image::of(&(0..layers).map(layer).collect::<Vec<_>>())
}

/// A manifest of no layers whose config is this text, and that config.
pub(crate) fn bare(config: &str) -> (RawManifest, Descriptor) {
    let descriptor = Descriptor::of(MediaType::OCI_CONFIG, config.as_bytes());
    (ImageManifest::new(descriptor.clone(), Vec::new()).to_raw(), descriptor)
}

/// A registry in memory behind the embedded server; both end with it.
pub(crate) struct Embedded {
    pub(crate) registry: Memory,
    pub(crate) host: String,
    _running: JoinSet<gantri::Result<()>>,
}

impl Embedded {
    pub(crate) async fn start() -> Self {
        let registry = Memory::new();
        let shared = Arc::new(registry.clone());
        let server = Server::bind(([127, 0, 0, 1], 0).into(), shared, ServerOptions::default()).await.unwrap();
        let host = server.local_addr().to_string();
        let mut running = JoinSet::new();
        running.spawn(server.run(std::future::pending()));
        Self { registry, host, _running: running }
    }

    /// Keeps a manifest without layers; its config is this text. Gives its descriptor.
    pub(crate) async fn put_bare(&self, config: &str) -> Descriptor {
        let (manifest, blob) = bare(config);
        let body = BlobBody::bytes(config.to_owned());
        self.registry.put_blob(&repo(), &blob, body).await.unwrap();
        self.put(&manifest, &[]).await;
        manifest.descriptor().clone()
    }

    /// Keeps a manifest, under these tags.
    pub(crate) async fn put(&self, manifest: &RawManifest, tags: &[&str]) {
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        self.registry.put_manifest(&repo(), manifest, &tags).await.unwrap();
    }
}

/// An index entry that says this platform.
pub(crate) fn offered(manifest: Descriptor, platform: Platform) -> Descriptor {
    manifest.with_platform(platform)
}

/// A layout in a directory that is not there yet.
pub(crate) fn layout(home: &tempfile::TempDir) -> Location {
    LayoutPath::new(home.path().join("layout")).into()
}

/// Limits that give up soon.
pub(crate) fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Hears what is done, and lets others wait for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done(Arc<(Mutex<Vec<Digest>>, Condvar)>);

impl Done {
    /// What is done, in its order.
    pub(crate) fn order(&self) -> Vec<Digest> {
        self.0.0.lock().unwrap().clone()
    }

    /// How many of these are done.
    pub(crate) fn among(&self, these: &[Descriptor]) -> usize {
        self.order().iter().filter(|done| these.iter().any(|one| one.digest == **done)).count()
    }

    /// Waits until anything more is done, but not long.
    pub(crate) fn pause(&self) {
        let (done, changed) = &*self.0;
        let before = done.lock().unwrap().len();
        let same = |done: &mut Vec<Digest>| done.len() == before;
        drop(changed.wait_timeout_while(done.lock().unwrap(), SHORT, same).unwrap());
    }

    /// Waits until this is done, but not for ever.
    pub(crate) fn wait_for(&self, digest: &Digest) {
        let (done, changed) = &*self.0;
        let missing = |done: &mut Vec<Digest>| !done.contains(digest);
        drop(changed.wait_timeout_while(done.lock().unwrap(), LONG, missing).unwrap());
    }
}

impl Observer for Done {
    fn event(&self, event: &Event<'_>) {
        if let Event::Finished(what) = event {
            self.0.0.lock().unwrap().push(what.digest.clone());
            self.0.1.notify_all();
        }
    }
}
