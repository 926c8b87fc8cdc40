//! Rules of pull: tags and digests lead to the bytes that were pushed, and what is not there is unknown by its kind.

pub mod ranges;

use futures_util::future::try_join_all;
use gantri_spec::{ByteRange, Digest, MediaType, RawManifest, Selector};

use super::{NO_MANIFEST, assert_kind, assert_no_blob, assert_no_manifest, assert_same, at, noise, raw, repo, whole};
use crate::testkit::profile::in_sha512;
use crate::testkit::{Content, Outcome, Subject};
use crate::{BlobBody, ErrorKind};

cases! { $ __pull_cases in pull needs [];
    a_tag_and_its_digest_resolve_to_the_same,
    resolving_agrees_with_fetching,
    a_manifest_keeps_every_byte,
    docker_types_stay_docker_types,
    an_index_comes_back_as_pushed,
    an_index_may_hold_an_index,
    a_manifest_of_sha512_is_found_by_it [Sha512, Sha512Manifests],
    an_unknown_tag_is_manifest_unknown,
    an_unknown_digest_is_manifest_unknown,
    a_blob_is_no_manifest [OddManifests],
    an_unknown_blob_is_blob_unknown,
    an_unknown_repository_holds_nothing [Repositories],
    a_repository_sees_only_its_own [Repositories],
    names_at_the_edge_of_the_grammar_are_found,
    names_that_look_like_endpoints_are_names [Repositories, EndpointNames],
    a_repository_below_another_is_its_own [Repositories],
    an_algorithm_that_nobody_verifies_is_refused [OddManifests],
    resolving_a_blob_gives_its_size,
    a_blob_comes_back_whole,
    a_large_blob_comes_back_whole,
    an_empty_blob_comes_back_empty,
    a_blob_of_sha512_comes_back_whole [Sha512],
    a_dropped_reader_harms_nobody,
    many_readers_see_the_same,
}

/// An image of one layer, the ten digits.
fn app() -> Content {
    Content::new("suite/app").blob("layer", "0123456789").image("app", ["layer"]).tag("v1", "app")
}

async fn a_tag_and_its_digest_resolve_to_the_same(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let by_tag = registry.resolve_manifest(content.here(), &at("v1")).await?;
    let by_digest = registry.resolve_manifest(content.here(), &content.at("app")).await?;
    assert_eq!(by_tag, by_digest);
    assert_eq!(by_tag.digest, content.digest("app"));
    Ok(())
}

async fn resolving_agrees_with_fetching(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    for selector in [at("v1"), content.at("app")] {
        let resolved = registry.resolve_manifest(content.here(), &selector).await?;
        let fetched = registry.manifest(content.here(), &selector).await?;
        assert_eq!(resolved.digest, *fetched.digest(), "{selector}");
        assert_eq!(resolved.media_type, *fetched.media_type(), "{selector}");
        assert_eq!(resolved.size, fetched.bytes().len() as u64, "{selector}");
        assert_same(&fetched, &content.raw("app"));
    }
    Ok(())
}

async fn a_manifest_keeps_every_byte(registry: Subject) -> Outcome {
    let content = app();
    let plain = String::from_utf8_lossy(content.raw("app").bytes()).into_owned();
    let odd = plain.replacen('{', "{ \t\"x-later\": [ 1.50, null, \"\\u00e9\" ] ,\r\n", 1) + "\n \n";
    let content = content.manifest("odd", raw(MediaType::OCI_MANIFEST, odd)).tag("odd", "odd");
    registry.hold(&content).await?;
    for selector in [at("odd"), content.at("odd")] {
        assert_same(&registry.manifest(content.here(), &selector).await?, &content.raw("odd"));
    }
    Ok(())
}

async fn docker_types_stay_docker_types(registry: Subject) -> Outcome {
    let content = docker();
    registry.hold(&content).await?;
    for (tag, name) in [("v1", "image"), ("all", "list")] {
        let resolved = registry.resolve_manifest(content.here(), &at(tag)).await?;
        assert_eq!(resolved.media_type, *content.raw(name).media_type());
        assert_same(&registry.manifest(content.here(), &at(tag)).await?, &content.raw(name));
    }
    Ok(())
}

async fn an_index_comes_back_as_pushed(registry: Subject) -> Outcome {
    let content = app().index("index", ["app"]).tag("all", "index");
    registry.hold(&content).await?;
    let fetched = registry.manifest(content.here(), &at("all")).await?;
    assert_same(&fetched, &content.raw("index"));
    assert_eq!(fetched.media_type(), &MediaType::OCI_INDEX);
    Ok(())
}

async fn an_index_may_hold_an_index(registry: Subject) -> Outcome {
    let content = app().index("inner", ["app"]).index("outer", ["inner", "app"]).tag("all", "outer");
    registry.hold(&content).await?;
    assert_same(&registry.manifest(content.here(), &at("all")).await?, &content.raw("outer"));
    assert_same(&registry.manifest(content.here(), &content.at("inner")).await?, &content.raw("inner"));
    Ok(())
}

async fn a_manifest_of_sha512_is_found_by_it(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let digest = in_sha512(&content.bytes("app")).digest;
    let Ok(long) = RawManifest::expect_digest(&digest, MediaType::OCI_MANIFEST, content.bytes("app")) else {
        panic!("that is its digest")
    };
    registry.seed().put_manifest(content.here(), &long, &[]).await?;
    let selector = Selector::Digest(long.digest().clone());
    assert_eq!(registry.resolve_manifest(content.here(), &selector).await?.digest, *long.digest());
    assert_same(&registry.manifest(content.here(), &selector).await?, &long);
    Ok(())
}

async fn an_unknown_tag_is_manifest_unknown(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    assert_kind(registry.resolve_manifest(content.here(), &at("v2")).await, &[ErrorKind::ManifestUnknown]);
    assert_kind(registry.manifest(content.here(), &at("v2")).await, &[ErrorKind::ManifestUnknown]);
    Ok(())
}

async fn an_unknown_digest_is_manifest_unknown(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let absent = Selector::Digest(Digest::of(b"absent"));
    assert_kind(registry.resolve_manifest(content.here(), &absent).await, &[ErrorKind::ManifestUnknown]);
    assert_kind(registry.manifest(content.here(), &absent).await, &[ErrorKind::ManifestUnknown]);
    Ok(())
}

async fn a_blob_is_no_manifest(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    assert_no_manifest(&*registry, content.here(), &content.at("layer")).await;
    Ok(())
}

async fn an_unknown_blob_is_blob_unknown(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let absent = Digest::of(b"absent");
    assert_kind(registry.resolve_blob(content.here(), &absent).await, &[ErrorKind::BlobUnknown]);
    assert_kind(registry.blob(content.here(), &absent, ByteRange::Full).await, &[ErrorKind::BlobUnknown]);
    Ok(())
}

async fn an_unknown_repository_holds_nothing(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let elsewhere = repo("suite/nowhere");
    assert_no_manifest(&*registry, &elsewhere, &at("v1")).await;
    assert_no_blob(&*registry, &elsewhere, &content.digest("layer")).await;
    Ok(())
}

async fn a_repository_sees_only_its_own(registry: Subject) -> Outcome {
    let content = app().repo("suite/other").blob("other", "other").image("more", ["other"]).tag("v2", "more");
    registry.hold(&content).await?;
    let other = content.here();
    assert_no_manifest(&*registry, other, &at("v1")).await;
    assert_no_manifest(&*registry, other, &content.at("app")).await;
    assert_no_blob(&*registry, other, &content.digest("layer")).await;
    // A name that is the beginning of another is another repository all the same.
    assert_kind(registry.manifest(&repo("suite"), &at("v1")).await, NO_MANIFEST);
    Ok(())
}

async fn names_at_the_edge_of_the_grammar_are_found(registry: Subject) -> Outcome {
    let name = format!("0/a__b/c.d/e-f---g/{}", "x".repeat(180));
    let tags = ["_", "0", "A.b-c__d..", &"t".repeat(128)];
    let content = Content::new(&name).blob("layer", "layer").image("app", ["layer"]).tags(tags, "app");
    registry.hold(&content).await?;
    for tag in tags {
        assert_same(&registry.manifest(content.here(), &at(tag)).await?, &content.raw("app"));
    }
    Ok(())
}

async fn names_that_look_like_endpoints_are_names(registry: Subject) -> Outcome {
    for name in ["v2", "suite/manifests/latest", "suite/blobs/uploads", "suite/tags/list", "suite/referrers"] {
        let content = Content::new(name).blob("layer", name.to_owned()).image("app", ["layer"]).tag("v1", "app");
        registry.hold(&content).await?;
        assert_same(&registry.manifest(content.here(), &at("v1")).await?, &content.raw("app"));
        assert_eq!(whole(&*registry, content.here(), &content.digest("layer")).await?, name);
    }
    Ok(())
}

/// Also by a name that a store on disk may use itself: it then has to keep the two apart, or to refuse that name alone.
async fn a_repository_below_another_is_its_own(registry: Subject) -> Outcome {
    let above = app();
    registry.hold(&above).await?;
    let own = ["suite/app/blobs", "suite/app/blobs/sha256", "suite/app/index.json"];
    for name in own.into_iter().chain(["suite/app/sub", "suite"]) {
        let below =
            Content::new(name).blob("other", name.to_owned()).image("other.app", ["other"]).tag("v1", "other.app");
        match registry.hold(&below).await {
            Err(error) if error.kind() == ErrorKind::NameInvalid && own.contains(&name) => continue,
            outcome => outcome?,
        }
        assert_same(&registry.manifest(below.here(), &at("v1")).await?, &below.raw("other.app"));
        assert_no_blob(&*registry, above.here(), &below.digest("other")).await;
        assert_no_blob(&*registry, below.here(), &above.digest("layer")).await;
    }
    assert_same(&registry.manifest(above.here(), &at("v1")).await?, &above.raw("app"));
    assert_eq!(whole(&*registry, above.here(), &above.digest("layer")).await?, "0123456789");
    Ok(())
}

async fn an_algorithm_that_nobody_verifies_is_refused(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let Ok(digest) = "blake3:00112233445566778899aabbccddeeff".parse::<Digest>() else {
        panic!("any algorithm is a valid name")
    };
    let refusals =
        [ErrorKind::BlobUnknown, ErrorKind::ManifestUnknown, ErrorKind::Unsupported, ErrorKind::DigestMismatch];
    assert_kind(registry.blob(content.here(), &digest, ByteRange::Full).await, &refusals);
    assert_kind(registry.manifest(content.here(), &Selector::Digest(digest)).await, &refusals);
    Ok(())
}

async fn resolving_a_blob_gives_its_size(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let resolved = registry.resolve_blob(content.here(), &content.digest("layer")).await?;
    assert_eq!((resolved.digest, resolved.size), (content.digest("layer"), 10));
    Ok(())
}

async fn a_blob_comes_back_whole(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let reader = registry.blob(content.here(), &content.digest("layer"), ByteRange::Full).await?;
    assert_eq!(reader.descriptor().digest, content.digest("layer"));
    assert_eq!(reader.descriptor().size, 10);
    assert_eq!(reader.bytes(10).await?, "0123456789");
    Ok(())
}

async fn a_large_blob_comes_back_whole(registry: Subject) -> Outcome {
    let content = Content::new("suite/app").blob("large", noise(3_000_017));
    registry.hold(&content).await?;
    let fetched = whole(&*registry, content.here(), &content.digest("large")).await?;
    assert!(fetched == content.bytes("large"), "{} bytes, not those that were pushed", fetched.len());
    Ok(())
}

async fn an_empty_blob_comes_back_empty(registry: Subject) -> Outcome {
    let content = Content::new("suite/app").blob("empty", "");
    registry.hold(&content).await?;
    assert_eq!(registry.resolve_blob(content.here(), &content.digest("empty")).await?.size, 0);
    assert_eq!(whole(&*registry, content.here(), &content.digest("empty")).await?, "");
    Ok(())
}

async fn a_blob_of_sha512_comes_back_whole(registry: Subject) -> Outcome {
    let (repo, blob) = (repo("suite/app"), in_sha512(b"long name"));
    registry.seed().put_blob(&repo, &blob, BlobBody::bytes("long name")).await?;
    assert_eq!(registry.resolve_blob(&repo, &blob.digest).await?.digest, blob.digest);
    assert_eq!(whole(&*registry, &repo, &blob.digest).await?, "long name");
    Ok(())
}

async fn a_dropped_reader_harms_nobody(registry: Subject) -> Outcome {
    let content = Content::new("suite/app").blob("large", noise(1 << 20));
    registry.hold(&content).await?;
    let digest = content.digest("large");
    drop(registry.blob(content.here(), &digest, ByteRange::Full).await?);
    drop(registry.blob(content.here(), &digest, ByteRange::Full).await?.into_stream());
    assert!(whole(&*registry, content.here(), &digest).await? == content.bytes("large"));
    Ok(())
}

async fn many_readers_see_the_same(registry: Subject) -> Outcome {
    let content = Content::new("suite/app").blob("large", noise(300_000));
    registry.hold(&content).await?;
    let digest = content.digest("large");
    let reads = (0..16).map(|_| whole(&*registry, content.here(), &digest));
    for fetched in try_join_all(reads).await? {
        assert!(fetched == content.bytes("large"));
    }
    Ok(())
}

/// An image and a list in Docker's own types.
fn docker() -> Content {
    let content = Content::new("suite/docker").blob("config", "{}").blob("layer", "layer");
    let entry = |name: &str, media_type: &MediaType| {
        let blob = content.descriptor(name);
        format!(r#"{{"mediaType":"{media_type}","size":{},"digest":"{}"}}"#, blob.size, blob.digest)
    };
    let image = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
        MediaType::DOCKER_MANIFEST,
        entry("config", &MediaType::DOCKER_CONFIG),
        entry("layer", &MediaType::DOCKER_LAYER_GZIP),
    );
    let content = content.manifest("image", raw(MediaType::DOCKER_MANIFEST, image)).tag("v1", "image");
    let list = format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{{"mediaType":"{}","size":{},"digest":"{}","platform":{{"architecture":"arm64","os":"linux","variant":"v8"}}}}]}}"#,
        MediaType::DOCKER_MANIFEST_LIST,
        MediaType::DOCKER_MANIFEST,
        content.descriptor("image").size,
        content.digest("image"),
    );
    content.manifest("list", raw(MediaType::DOCKER_MANIFEST_LIST, list)).tag("all", "list")
}
