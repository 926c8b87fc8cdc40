//! Copies over the wire, between every two kinds of registry: byte for byte, at the price that is promised.

use std::sync::Arc;

use futures_util::StreamExt;
use gantri::image::{Copied, CopyItem, CopyOptions, Place, copy};
use gantri::server::{Server, ServerOptions};
use gantri::spec::{Descriptor, ImageManifest, Index, MediaType, RawManifest, RepositoryName};
use gantri::{BlobBody, ErrorKind, Layout, Memory, Registry, Remote, Selector, Tag};
use test_support::{Reply, ScriptedServer};
use tokio::task::JoinSet;

use crate::world::{image, repo};

/// A registry of some kind, and what it lives in.
struct World {
    registry: Arc<dyn Registry>,
    _home: Option<tempfile::TempDir>,
    _running: JoinSet<gantri::Result<()>>,
}

const KINDS: [&str; 5] = ["memory", "layout", "tree", "remote over memory", "remote over a layout"];

async fn world(kind: &str) -> World {
    let home = tempfile::tempdir().unwrap();
    let mut running = JoinSet::new();
    let layout = async || Arc::new(Layout::create(home.path().join("layout")).await.unwrap());
    let registry: Arc<dyn Registry> = match kind {
        "memory" => Arc::new(Memory::new()),
        "layout" => layout().await,
        "tree" => Arc::new(Layout::tree(home.path()).await.unwrap()),
        "remote over memory" => served(Arc::new(Memory::new()), &mut running).await,
        _ => served(layout().await, &mut running).await,
    };
    World { registry, _home: Some(home), _running: running }
}

async fn served(behind: Arc<dyn Registry>, running: &mut JoinSet<gantri::Result<()>>) -> Arc<dyn Registry> {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), behind, ServerOptions::default()).await.unwrap();
    let host = server.local_addr().to_string().parse().unwrap();
    running.spawn(server.run(std::future::pending()));
    Arc::new(Remote::builder(host).build().unwrap())
}

fn tag(name: &str) -> Tag {
    name.parse().unwrap()
}

fn elsewhere() -> RepositoryName {
    "mirror/app".parse().unwrap()
}

/// Keeps an index of two images that share a layer, beside an artifact, with a nested index; its manifests, the root last.
async fn fill(registry: &dyn Registry) -> Vec<RawManifest> {
    let blob = async |kind: MediaType, text: &str| {
        let blob = Descriptor::of(kind, text.as_bytes());
        registry.put_blob(&repo(), &blob, BlobBody::bytes(text.to_owned())).await.unwrap();
        blob
    };
    let mut manifests = Vec::new();
    for name in ["one", "two"] {
        let layers = vec![blob(MediaType::OCI_LAYER_GZIP, name).await, blob(MediaType::OCI_LAYER_ZSTD, "shared").await];
        manifests.push(ImageManifest::new(blob(MediaType::OCI_CONFIG, &format!("of {name}")).await, layers).to_raw());
    }
    let empty = blob(MediaType::OCI_EMPTY, "{}").await;
    let mut artifact = ImageManifest::new(empty.clone(), vec![empty]);
    artifact.artifact_type = Some(MediaType::from_static("application/vnd.example.thing"));
    manifests.push(artifact.to_raw());
    let inner = Index::new(vec![manifests[1].descriptor().clone(), manifests[2].descriptor().clone()]).to_raw();
    let root = Index::new(vec![manifests[0].descriptor().clone(), inner.descriptor().clone()]).to_raw();
    manifests.extend([inner, root]);
    for manifest in &manifests {
        registry.put_manifest(&repo(), manifest, &[]).await.unwrap();
    }
    registry.put_manifest(&repo(), &manifests[4], &[tag("v1")]).await.unwrap();
    manifests
}

async fn copy_v1(from: &Arc<dyn Registry>, to: &Arc<dyn Registry>) -> gantri::Result<Copied> {
    let [from, to] = [(from, repo()), (to, elsewhere())].map(|(registry, repo)| Place::new(Arc::clone(registry), repo));
    let item = CopyItem::new(from, tag("v1"), to, vec![tag("v1")]);
    copy(vec![item], &CopyOptions::default()).await.map(|mut copied| copied.remove(0))
}

async fn holds(registry: &dyn Registry, manifests: &[RawManifest], what: &str) {
    for manifest in manifests {
        let at = Selector::Digest(manifest.digest().clone());
        let there = registry.manifest(&elsewhere(), &at).await.unwrap();
        assert_eq!((there.bytes(), there.media_type()), (manifest.bytes(), manifest.media_type()), "{what}");
        for child in manifest.parse().unwrap().children() {
            if !child.media_type.is_manifest() {
                let reader = registry.blob(&elsewhere(), &child.digest, gantri::spec::ByteRange::Full).await.unwrap();
                reader.bytes(1 << 20).await.unwrap();
            }
        }
    }
    let tagged = registry.resolve_manifest(&elsewhere(), &tag("v1").into()).await.unwrap();
    assert_eq!(tagged.digest, *manifests.last().unwrap().digest(), "{what}");
}

/// Every kind of registry to every kind: manifests byte for byte, and a second copy sends nothing.
#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_registry_copies_to_every_kind() {
    for from in KINDS {
        let source = world(from).await;
        let manifests = fill(&*source.registry).await;
        for to in KINDS {
            let what = format!("{from} -> {to}");
            let target = world(to).await;
            let first = copy_v1(&source.registry, &target.registry).await.unwrap();
            assert_eq!((first.sent.count, first.manifests.count), (6, 5), "{what}");
            holds(&*target.registry, &manifests, &what).await;
            let second = copy_v1(&source.registry, &target.registry).await.unwrap();
            assert_eq!((second.sent.count, second.mounted.count), (0, 0), "{what}");
            holds(&*target.registry, &manifests, &what).await;
        }
    }
}

/// Within one registry, another repository: nothing is read from the source but manifests.
#[tokio::test(flavor = "multi_thread")]
async fn within_one_registry_blobs_are_mounted() {
    for kind in ["memory", "remote over memory"] {
        let world = world(kind).await;
        let manifests = fill(&*world.registry).await;
        let copied = copy_v1(&world.registry, &world.registry).await.unwrap();
        assert_eq!((copied.mounted.count, copied.sent.count), (6, 0), "{kind}");
        holds(&*world.registry, &manifests, kind).await;
    }
}

fn remote(server: &ScriptedServer) -> Arc<dyn Registry> {
    Arc::new(Remote::builder(server.host().parse().unwrap()).build().unwrap())
}

fn lines(server: &ScriptedServer) -> Vec<String> {
    server.requests().iter().map(|asked| format!("{} {}", asked.method, asked.target)).collect()
}

/// A one-platform image that is there costs one request on each side; crane makes four.
#[tokio::test]
async fn a_warm_copy_of_one_image_is_two_requests() {
    let image = image(3);
    let source = image.clone().serve(|_, _| None);
    let (digest, kind) = (image.manifest.digest().to_string(), image.manifest.media_type().to_string());
    let size = image.manifest.bytes().len() as u64;
    let target = ScriptedServer::start(move |_| {
        Reply::new(200).header("docker-content-digest", &digest).header("content-type", &kind).length(size)
    });
    copy_v1(&remote(&source), &remote(&target)).await.unwrap();
    assert_eq!(lines(&source), ["GET /v2/team/app/manifests/v1"]);
    assert_eq!(lines(&target), ["HEAD /v2/mirror/app/manifests/v1"]);
}

/// A store vouches for what it verified when it wrote it; if that came to harm since, the error says where.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_came_to_harm_in_the_source_is_the_sources_fault() {
    let home = tempfile::tempdir().unwrap();
    let layout: Arc<dyn Registry> = Arc::new(Layout::create(home.path()).await.unwrap());
    fill(&*layout).await;
    let harmed = gantri::Digest::of(b"shared");
    let file = home.path().join("blobs/sha256").join(harmed.encoded());
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "sharEd").unwrap();
    for kind in KINDS {
        let target = world(kind).await;
        let error = copy_v1(&layout, &target.registry).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{kind}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("copy team/app:v1 -> mirror/app:v1: source: "), "{kind}: {text}");
        assert!(text.contains(harmed.as_str()), "{kind}: {text}");
        let tags = target.registry.tags(&elsewhere(), None).collect::<Vec<_>>().await;
        assert!(!tags.iter().any(Result::is_ok), "{kind}: {tags:?}");
    }
}

/// A layout that came to harm is mended by the next copy, though its manifest is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_came_to_harm_in_a_target_layout_is_mended() {
    let source = world("memory").await;
    let manifests = fill(&*source.registry).await;
    let home = tempfile::tempdir().unwrap();
    let layout: Arc<dyn Registry> = Arc::new(Layout::create(home.path()).await.unwrap());
    copy_v1(&source.registry, &layout).await.unwrap();
    let file = home.path().join("blobs/sha256").join(gantri::Digest::of(b"shared").encoded());
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, "sharEd").unwrap();
    assert_eq!(copy_v1(&source.registry, &layout).await.unwrap().sent.count, 1);
    holds(&*layout, &manifests, "mended").await;
}
