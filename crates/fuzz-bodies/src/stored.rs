//! Registries at rest, from elsewhere: layouts and archives that somebody else wrote. What they say is there either has its
//! digest or is an error (T19, S6).

use std::fs;

use futures_util::TryStreamExt;
use gantri_core::{Discover, ErrorKind, Limits, Pull, PullExt, Result};
use gantri_spec::{Manifest, RepositoryName, Selector};
use gantri_store::{Archive, Layout};

use crate::can_be_shown;
use crate::runtime::block_on;
use crate::sandbox::Sandbox;

thread_local! {
    static SANDBOX: Sandbox = Sandbox::new();
}

/// An image archive, of either kind.
pub fn archive(data: &[u8]) {
    SANDBOX.with(|sandbox| {
        let path = sandbox.root();
        fs::write(&path, data).expect("a file");
        block_on(async {
            match Archive::open(&path).await {
                Ok(archive) => {
                    let named = archive.images().iter().filter_map(|image| image.tag.clone());
                    let ats: Vec<Selector> = named.map(Selector::Tag).chain(archive.select(None).ok()).collect();
                    look(&archive, &ats).await;
                }
                Err(error) => told(&error),
            }
        });
        sandbox.clear();
    });
}

/// An image layout: its `oci-layout`, its `index.json` and one blob, a record separator (0x1e) between them.
pub fn layout(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == END);
    let [mark, index, blob] = [(); 3].map(|()| parts.next().unwrap_or_default());
    SANDBOX.with(|sandbox| {
        let root = sandbox.root();
        let blobs = root.join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("a directory");
        fs::write(root.join("oci-layout"), mark).expect("a file");
        fs::write(root.join("index.json"), index).expect("a file");
        fs::write(blobs.join(gantri_spec::Digest::of(blob).encoded()), blob).expect("a file");
        block_on(async {
            match Layout::open(&root).await {
                Ok(layout) => {
                    let tags: Result<Vec<_>> = layout.tags(&repo(), None).try_collect().await;
                    let tags = tags.map_err(|error| told(&error)).unwrap_or_default();
                    look(&layout, &tags.into_iter().map(Selector::Tag).collect::<Vec<_>>()).await;
                }
                Err(error) => told(&error),
            }
        });
        sandbox.clear();
    });
}

/// Ends a part.
const END: u8 = 0x1e;
/// Images that are looked at.
const IMAGES: usize = 4;

/// All that these images lead to.
async fn look<R: Pull + Discover>(registry: &R, ats: &[Selector]) {
    let repo = repo();
    for at in ats.iter().take(IMAGES) {
        let manifest = match registry.manifest(&repo, at).await {
            Ok(manifest) => manifest,
            Err(error) => {
                told(&error);
                continue;
            }
        };
        assert_eq!(manifest.digest().algorithm().digest(manifest.bytes()).as_ref(), Some(manifest.digest()));
        let resolved = registry.resolve_manifest(&repo, at).await.expect("a manifest that was read");
        assert_eq!(&resolved.digest, manifest.digest());
        let parsed = manifest.parse().unwrap_or(Manifest::Unknown);
        for child in parsed.children().into_iter().take(IMAGES) {
            match registry.blob_bytes(&repo, child, &Limits::default()).await {
                Ok(bytes) => assert_eq!(child.digest.algorithm().digest(&bytes).as_ref(), Some(&child.digest)),
                Err(error) => told(&error),
            }
        }
        let referrers: Result<Vec<_>> = registry.referrers(&repo, manifest.digest(), None).try_collect().await;
        if let Err(error) = referrers {
            told(&error);
        }
    }
}

fn repo() -> RepositoryName {
    "a".parse().expect("a name")
}

/// Refused for what it is, and not for what became of us.
fn told(error: &gantri_core::Error) {
    can_be_shown(error);
    assert_ne!(error.kind(), ErrorKind::Unavailable, "{error}");
}
