//! Which image is meant: platforms, nested indexes, single manifests.

use gantri::spec::{Descriptor, Index};
use gantri::{Client, ErrorKind, Location, Platform};

use crate::world::{Embedded, at, client, client_for, offered};

/// Serves an index of images, one for each platform, tagged `v1`; gives their descriptors.
async fn index_of(server: &Embedded, platforms: &[Platform]) -> Vec<Descriptor> {
    let mut entries = Vec::new();
    for (number, platform) in platforms.iter().enumerate() {
        let image = server.put_bare(&format!(r#"{{"number":{number}}}"#)).await;
        entries.push(offered(image, platform.clone()));
    }
    server.put(&Index::new(entries.clone()).to_raw(), &["v1"]).await;
    entries
}

async fn chosen(client: &Client, source: &Location) -> gantri::Digest {
    client.image(source).await.unwrap().manifest.digest().clone()
}

/// O14: an older variant is not taken where a better one is listed behind it, and a newer one not at all.
#[tokio::test]
async fn the_variant_decides() {
    let server = Embedded::start().await;
    let arm = |variant| Platform::new("linux", "arm").with_variant(variant);
    let entries = index_of(&server, &[arm("v5"), arm("v7"), arm("v6")]).await;
    let source = at(&server.host, ":v1");
    for (want, expected) in [("linux/arm/v5", 0), ("linux/arm/v6", 2), ("linux/arm/v7", 1)] {
        assert_eq!(chosen(&client_for(want), &source).await, entries[expected].digest, "{want}");
    }
}

/// O14: an image of another version of the operating system is not taken.
#[tokio::test]
async fn the_version_of_the_operating_system_decides() {
    let server = Embedded::start().await;
    let windows = |version| Platform::new("windows", "amd64").with_os_version(version);
    let entries = index_of(&server, &[windows("10.0.17763.1"), windows("10.0.20348.2")]).await;
    let source = at(&server.host, ":v1");
    let client_at = |version| Client::builder().platform(windows(version)).build().unwrap();
    assert_eq!(chosen(&client_at("10.0.20348"), &source).await, entries[1].digest);
    let refused = client_at("10.0.22000").image(&source).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PlatformUnknown);
}

/// G28: nobody said a platform, so it is this machine's, and not one that the author liked.
#[tokio::test]
async fn this_machines_platform_is_the_default() {
    let server = Embedded::start().await;
    let entries = index_of(&server, &[Platform::new("plan9", "mips"), Platform::host()]).await;
    assert_eq!(chosen(&client(), &at(&server.host, ":v1")).await, entries[1].digest);
}

/// O38: an index inside an index is looked into.
#[tokio::test]
async fn an_index_inside_an_index_is_looked_into() {
    let server = Embedded::start().await;
    let image = server.put_bare("{}").await;
    let inner = Index::new(vec![offered(image.clone(), Platform::new("linux", "riscv64"))]).to_raw();
    server.put(&inner, &[]).await;
    let outer = Index::new(vec![inner.descriptor().clone()]).to_raw();
    server.put(&outer, &["v1"]).await;
    let found = client_for("linux/riscv64").image(&at(&server.host, ":v1")).await.unwrap();
    assert_eq!(found.manifest.digest(), &image.digest);
    assert_eq!(found.index.unwrap().digest, *outer.digest());
}

/// M3: a tag that names one manifest, and no index, is an image too.
#[tokio::test]
async fn a_tag_of_a_single_manifest_is_an_image() {
    let server = Embedded::start().await;
    let (manifest, _) = crate::world::bare("{}");
    server.put_bare("{}").await;
    server.put(&manifest, &["v1"]).await;
    let found = client().image(&at(&server.host, ":v1")).await.unwrap();
    assert_eq!(found.manifest.bytes(), manifest.bytes());
    assert!(found.index.is_none());
}

/// M3: an attestation is never the image, even if it is all there is.
#[tokio::test]
async fn an_attestation_is_no_image() {
    let server = Embedded::start().await;
    let attestation = server.put_bare("{}").await;
    let attestation =
        offered(attestation, Platform::host()).with_annotation("vnd.docker.reference.type", "attestation-manifest");
    server.put(&Index::new(vec![attestation]).to_raw(), &["v1"]).await;
    let refused = client().image(&at(&server.host, ":v1")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::PlatformUnknown);
}
