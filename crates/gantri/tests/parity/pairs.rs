//! Copies between every two kinds of places, of everything that a repository can hold: manifests byte for byte, every blob
//! there, the tag at the end.
//!
//! Places with a location are copied by the client. Memory has none; the job below the client takes it like any other.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gantri::core::filter::ReadOnly;
use gantri::image::{CopyItem, CopyOptions, Place, copy};
use gantri::spec::{ByteRange, Descriptor, ImageManifest, Index, MediaType, RawManifest, Selector};
use gantri::{
    Archive, BlobBody, Client, Digest, ErrorKind, Extent, Layout, Location, Memory, Pull, Registry, Remote, Tag,
};
use tempfile::TempDir;

use crate::world::{Embedded, client, image, repo};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Remote,
    Layout,
    Memory,
    OciArchive,
    DockerArchive,
}

use Kind::{DockerArchive, Memory as InMemory, OciArchive, Remote as OverHttp};

const KINDS: [Kind; 5] = [OverHttp, Kind::Layout, InMemory, OciArchive, DockerArchive];

/// Everything that can be copied, under its tag.
struct Content {
    tag: &'static str,
    /// The one that the tag names comes last.
    manifests: Vec<RawManifest>,
    blobs: Vec<(Descriptor, Bytes)>,
    /// Docker's archives hold images only.
    is_image: bool,
}

fn contents() -> Vec<Content> {
    let one = image(2);
    let two = image(3);
    let blobs = |image: &test_support::Image| -> Vec<(Descriptor, Bytes)> {
        let named = [&image.parsed.config].into_iter().chain(&image.parsed.layers);
        named.map(|blob| (blob.clone(), image.blobs[&blob.digest].clone())).collect()
    };
    // As no program would write it: what is copied is the bytes, not their meaning.
    let spaced = format!("\n {}\t", String::from_utf8_lossy(one.manifest.bytes()));
    let spaced = RawManifest::new(MediaType::OCI_MANIFEST, spaced.into());
    let entry =
        |manifest: &RawManifest, platform: &str| manifest.descriptor().clone().with_platform(platform.parse().unwrap());
    let index = Index::new(vec![entry(&spaced, "linux/amd64"), entry(&two.manifest, "linux/arm64/v8")]).to_raw();
    let others = [entry(&two.manifest, "linux/riscv64"), entry(&spaced, "linux/s390x")];
    let nested = Index::new([&[index.descriptor().clone()][..], &others].concat()).to_raw();
    let empty = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
    let file = Descriptor::of(MediaType::from("text/plain"), b"some text");
    let mut artifact = ImageManifest::new(empty.clone(), vec![file.clone()]);
    artifact.artifact_type = Some("application/x".into());
    let schema1 = br#"{"schemaVersion":1,"name":"a","tag":"v1","architecture":"amd64","fsLayers":[],"history":[]}"#;
    let both = [blobs(&one), blobs(&two)].concat();
    vec![
        Content { tag: "image", manifests: vec![spaced.clone()], blobs: blobs(&one), is_image: true },
        Content {
            tag: "index",
            manifests: vec![spaced.clone(), two.manifest.clone(), index.clone()],
            blobs: both.clone(),
            is_image: false,
        },
        Content { tag: "nested", manifests: vec![spaced, two.manifest, index, nested], blobs: both, is_image: false },
        Content {
            tag: "artifact",
            manifests: vec![artifact.to_raw()],
            blobs: vec![(empty, "{}".into()), (file, "some text".into())],
            is_image: false,
        },
        Content {
            tag: "schema1",
            manifests: vec![RawManifest::new(MediaType::DOCKER_SCHEMA1, Bytes::from_static(schema1))],
            blobs: Vec::new(),
            is_image: false,
        },
    ]
}

impl Content {
    fn root(&self) -> &RawManifest {
        self.manifests.last().unwrap()
    }

    fn tag(&self) -> Tag {
        self.tag.parse().unwrap()
    }

    async fn put(&self, registry: &dyn Registry) {
        for (blob, bytes) in &self.blobs {
            registry.put_blob(&repo(), blob, BlobBody::bytes(bytes.clone())).await.unwrap();
        }
        for manifest in &self.manifests {
            let tags = if manifest == self.root() { vec![self.tag()] } else { Vec::new() };
            registry.put_manifest(&repo(), manifest, &tags).await.unwrap();
        }
    }

    /// Everything is there, byte for byte.
    async fn is_at(&self, place: &Place, case: &str) {
        let tagged = place.registry.manifest(&place.repo, &Selector::Tag(self.tag())).await.unwrap();
        assert_eq!((tagged.bytes(), tagged.media_type()), (self.root().bytes(), self.root().media_type()), "{case}");
        for manifest in &self.manifests {
            let stored = place.registry.manifest(&place.repo, &manifest.digest().clone().into()).await.unwrap();
            assert_eq!(stored.bytes(), manifest.bytes(), "{case}");
        }
        for (blob, bytes) in &self.blobs {
            let reader = place.registry.blob(&place.repo, &blob.digest, ByteRange::Full).await.unwrap();
            assert_eq!(&reader.bytes(1 << 20).await.unwrap(), bytes, "{case}");
        }
    }
}

/// A place of one kind.
struct Home {
    kind: Kind,
    embedded: Embedded,
    memory: Memory,
    dir: TempDir,
}

impl Home {
    async fn new(kind: Kind) -> Self {
        Self { kind, embedded: Embedded::start().await, memory: Memory::new(), dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("place")
    }

    fn location(&self, rest: &str) -> Option<Location> {
        let (host, path) = (&self.embedded.host, self.path().display().to_string());
        let text = match self.kind {
            OverHttp => format!("{host}/team/app{rest}"),
            Kind::Layout => format!("oci:{path}{rest}"),
            OciArchive => format!("oci-archive:{path}{rest}"),
            DockerArchive if rest.is_empty() => format!("docker-archive:{path}"),
            DockerArchive => format!("docker-archive:{path}:team/app{rest}"),
            InMemory => return None,
        };
        Some(text.parse().unwrap())
    }

    /// To look into, past the client.
    async fn place(&self) -> Place {
        let registry: Arc<dyn Registry> = match self.kind {
            OverHttp => Arc::new(Remote::builder(self.embedded.host.parse().unwrap()).build().unwrap()),
            Kind::Layout => Arc::new(Layout::open(self.path()).await.unwrap()),
            OciArchive | DockerArchive => Arc::new(ReadOnly::new(Archive::open(self.path()).await.unwrap())),
            InMemory => Arc::new(self.memory.clone()),
        };
        Place::new(registry, repo())
    }

    /// Fills it with the content, by the client where it can.
    async fn seed(&self, content: &Content) {
        match self.kind {
            OverHttp => content.put(&self.embedded.registry).await,
            InMemory => content.put(&self.memory).await,
            _ => {
                let origin = Self::new(OverHttp).await;
                content.put(&origin.embedded.registry).await;
                bring(&client(), &origin, self, content).await.unwrap();
            }
        }
    }
}

/// One copy, by the client if both have locations.
async fn bring(client: &Client, from: &Home, to: &Home, content: &Content) -> gantri::Result<()> {
    let named = format!(":{}", content.tag);
    if let (Some(source), Some(target)) = (from.location(&named), to.location(&named)) {
        let copied = client.copy(&[(source, target)], &Extent::default()).await?;
        assert_eq!((copied.len(), copied[0].manifest.digest.clone()), (1, content.root().digest().clone()));
        return Ok(());
    }
    let source = from.place().await;
    if to.kind == InMemory || to.kind == OverHttp {
        return copied(source, content, to.place().await).await;
    }
    let path = to.path();
    match to.kind {
        Kind::Layout => {
            let draft = Layout::draft(&path).await?;
            copied(source, content, Place::new(Arc::new(draft.layout().clone()), repo())).await?;
            draft.publish().await
        }
        _ => archived(source, content, &path, to.kind).await,
    }
}

async fn archived(source: Place, content: &Content, path: &Path, kind: Kind) -> gantri::Result<()> {
    use gantri::store::{ArchiveKind, Existing};
    let kind = if kind == OciArchive { ArchiveKind::Oci } else { ArchiveKind::Docker };
    let draft = Archive::draft(path, kind, Existing::Add).await?;
    copied(source, content, Place::new(Arc::new(draft.layout().clone()), repo())).await?;
    draft.publish().await
}

async fn copied(source: Place, content: &Content, target: Place) -> gantri::Result<()> {
    let item = CopyItem::new(source, Selector::Tag(content.tag()), target, vec![content.tag()]);
    copy(vec![item], &CopyOptions::default()).await.map(drop)
}

/// Every pair that makes sense: a docker-archive holds one platform's images, and says so of anything else.
#[tokio::test]
async fn everything_is_copied_between_every_two_places() {
    for content in &contents() {
        for from in KINDS {
            if from == DockerArchive && !content.is_image {
                continue;
            }
            let source = Home::new(from).await;
            source.seed(content).await;
            for to in KINDS {
                let case = format!("{} from {from:?} to {to:?}", content.tag);
                let target = Home::new(to).await;
                let done = bring(&client(), &source, &target, content).await;
                if to == DockerArchive && !content.is_image {
                    assert!(done.is_err(), "{case}");
                    assert_eq!(done.unwrap_err().kind(), ErrorKind::Unsupported, "{case}");
                    assert!(!target.path().exists(), "{case}: nothing half-made is there");
                    continue;
                }
                done.unwrap_or_else(|error| panic!("{case}: {error}"));
                content.is_at(&target.place().await, &case).await;
                // Once more: all is there, and stays as it is.
                bring(&client(), &source, &target, content).await.unwrap_or_else(|error| panic!("{case}: {error}"));
                content.is_at(&target.place().await, &case).await;
            }
        }
    }
}

/// G45, O48: what the target has is not sent again: with all there, a copy of an image is one request to either side.
#[tokio::test]
async fn a_copy_of_what_is_there_asks_for_the_manifest_and_no_more() {
    let contents = contents();
    let (source, target) = (Home::new(OverHttp).await, Home::new(OverHttp).await);
    source.seed(&contents[0]).await;
    let pair = [(source.location(":image").unwrap(), target.location(":v2").unwrap())];
    let first = client().copy(&pair, &Extent::default()).await.unwrap();
    assert_eq!((first[0].sent.count, first[0].manifests.count), (3, 1));
    let again = client().copy(&pair, &Extent::default()).await.unwrap();
    assert_eq!((again[0].sent.count, again[0].manifests.count), (0, 0));
    assert_eq!(again[0].sent.bytes + again[0].mounted.bytes, 0);
}

/// G11, G21, G47: many references of one push share their blobs: each is sent once, and mounted elsewhere.
#[tokio::test]
async fn targets_of_one_push_share_what_is_sent() {
    let contents = contents();
    let (source, target) = (Home::new(Kind::Layout).await, Home::new(OverHttp).await);
    source.seed(&contents[0]).await;
    let from = source.location(":image").unwrap();
    let to = ["a:v1", "b:v1", "b:v2"].map(|name| format!("{}/{name}", target.embedded.host).parse().unwrap());
    let pairs = to.map(|to: Location| (from.clone(), to));
    let copied = client().copy(&pairs, &Extent::default()).await.unwrap();
    let sum = |tally: fn(&gantri::Copied) -> u64| copied.iter().map(tally).sum::<u64>();
    assert_eq!((sum(|it| it.sent.count), sum(|it| it.mounted.count)), (3, 3));
    let root: Digest = contents[0].root().digest().clone();
    for (_, to) in &pairs {
        assert_eq!(client().resolve(to).await.unwrap().digest, root);
    }
}

/// M3, O13: chosen platforms: one is the image itself, several are a new index of their entries.
#[tokio::test]
async fn platforms_of_an_index_are_copied_by_themselves() {
    let contents = contents();
    let source = Home::new(OverHttp).await;
    source.seed(&contents[2]).await;
    let from = source.location(":nested").unwrap();
    let [amd, riscv] = ["linux/amd64", "linux/riscv64"].map(|text| text.parse::<gantri::Platform>().unwrap());
    let (manifests, target) = (&contents[2].manifests, Home::new(Kind::Layout).await);
    let one = Extent::default().platforms(gantri::Platforms::Only(vec![amd.clone()]));
    let copied = client().copy(&[(from.clone(), target.location(":one").unwrap())], &one).await.unwrap();
    assert_eq!(&copied[0].manifest.digest, manifests[0].digest());
    let both = Extent::default().platforms(gantri::Platforms::Only(vec![amd, riscv]));
    let copied = client().copy(&[(from, target.location(":two").unwrap())], &both).await.unwrap();
    let index = client().manifest(&target.location(":two").unwrap()).await.unwrap();
    assert_eq!(index.digest(), &copied[0].manifest.digest);
    let gantri::spec::Manifest::Index(index) = index.parse().unwrap() else { panic!("no index") };
    let mut listed: Vec<_> = index.manifests.iter().map(|entry| entry.digest.clone()).collect();
    listed.sort();
    let mut expected = vec![manifests[0].digest().clone(), manifests[1].digest().clone()];
    expected.sort();
    assert_eq!(listed, expected);
}

/// What a plan says is what a copy then does; and it writes nothing.
#[tokio::test]
async fn a_plan_is_what_a_copy_then_does_and_writes_nothing() {
    let contents = contents();
    let source = Home::new(OverHttp).await;
    source.seed(&contents[1]).await;
    for kind in [OverHttp, Kind::Layout, OciArchive] {
        let target = Home::new(kind).await;
        let pair = [(source.location(":index").unwrap(), target.location(":v1").unwrap())];
        let plan = client().plan(&pair, &Extent::default()).await.unwrap();
        assert!(!target.path().exists(), "{kind:?}");
        assert!(client().resolve(&pair[0].1).await.is_err(), "{kind:?}");
        let copied = client().copy(&pair, &Extent::default()).await.unwrap();
        assert_eq!(plan.items, copied, "{kind:?}");
        assert_eq!(plan.steps.len() as u64, copied[0].sent.count + copied[0].manifests.count, "{kind:?}");
    }
}

/// O47, G8: with its referrers an image arrives as it is referred to, and theirs.
#[tokio::test]
async fn referrers_come_along_if_they_are_asked_for() {
    let contents = contents();
    let (source, home) = (Home::new(OverHttp).await, tempfile::tempdir().unwrap());
    source.seed(&contents[0]).await;
    let from = source.location(":image").unwrap();
    std::fs::write(home.path().join("bill"), "of material").unwrap();
    let artifact = || gantri::Artifact::new("application/x".into()).with_file(home.path().join("bill"), None);
    let first = client().attach(&from, artifact()).await.unwrap();
    let second = client().attach(&from.at_digest(first.digest.clone()), artifact()).await.unwrap();
    for (extent, expected) in [
        (Extent::default(), vec![]),
        (Extent::default().referrers(gantri::Referrers::Follow), vec![&first.digest, &second.digest]),
    ] {
        let target = Home::new(Kind::Layout).await;
        client().copy(&[(from.clone(), target.location("").unwrap())], &extent).await.unwrap();
        let place = target.place().await;
        for digest in [&first.digest, &second.digest] {
            let there = place.registry.resolve_manifest(&place.repo, &digest.clone().into()).await.is_ok();
            assert_eq!(there, expected.contains(&digest));
        }
    }
    let files = client().fetch(&from.at_digest(first.digest), &home.path().join("back")).await.unwrap();
    assert_eq!(files.files, [Path::new("bill")]);
    assert_eq!(std::fs::read_to_string(home.path().join("back/bill")).unwrap(), "of material");
}

/// Whoever names a digest at the target has it held against what is copied.
#[tokio::test]
async fn a_digest_at_the_target_is_held_against_the_source() {
    let contents = contents();
    let (source, target) = (Home::new(OverHttp).await, Home::new(OverHttp).await);
    source.seed(&contents[0]).await;
    let from = source.location(":image").unwrap();
    let place = target.location("").unwrap();
    let right = place.at_digest(contents[0].root().digest().clone());
    client().copy(&[(from.clone(), right.clone())], &Extent::default()).await.unwrap();
    assert!(client().resolve(&right).await.is_ok());
    let wrong = place.at_digest(Digest::of(b"other"));
    let refused = client().copy(&[(from, wrong)], &Extent::default()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DigestMismatch, "{refused}");
}

/// C26, G12: more tags for what is there: its bytes are not sent, nor is anything below it.
#[tokio::test]
async fn tags_are_given_to_what_is_there() {
    let contents = contents();
    for kind in [OverHttp, Kind::Layout] {
        let home = Home::new(kind).await;
        home.seed(&contents[1]).await;
        let tags: [Tag; 2] = ["v1", "v2"].map(|tag| tag.parse().unwrap());
        let tagged = client().tag(&home.location(":index").unwrap(), &tags).await.unwrap();
        assert_eq!(&tagged.digest, contents[1].root().digest());
        for tag in tags {
            let found = client().resolve(&home.location("").unwrap().at_tag(tag)).await.unwrap();
            assert_eq!(found.digest, tagged.digest, "{kind:?}");
        }
    }
}
