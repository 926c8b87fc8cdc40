//! Rules of pull: tags and digests lead to the bytes that were pushed, whole or in part, and what is not there is
//! unknown by its kind.

use futures_util::future::try_join_all;
use gantri_spec::{Algorithm, ByteRange, Digest, MediaType, RawManifest, Selector};

use super::{
    NO_BLOB, NO_MANIFEST, assert_kind, assert_no_blob, assert_no_manifest, assert_same, at, noise, raw, repo, whole,
};
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
    a_manifest_of_sha512_is_found_by_it [Sha512],
    an_unknown_tag_is_manifest_unknown,
    an_unknown_digest_is_manifest_unknown,
    a_blob_is_no_manifest,
    an_unknown_blob_is_blob_unknown,
    an_unknown_repository_holds_nothing [Repositories],
    a_repository_sees_only_its_own [Repositories],
    an_algorithm_that_nobody_verifies_is_refused,
    resolving_a_blob_gives_its_size,
    a_blob_comes_back_whole,
    a_large_blob_comes_back_whole,
    an_empty_blob_comes_back_empty,
    a_blob_of_sha512_comes_back_whole [Sha512],
    a_range_from_an_offset_runs_to_the_end,
    a_range_between_offsets_is_half_open,
    a_range_past_the_end_is_cut_there,
    a_range_of_the_whole_blob_is_the_whole_blob,
    a_range_that_starts_at_the_end_is_invalid,
    a_range_that_starts_past_the_end_is_invalid,
    an_empty_range_is_invalid,
    an_empty_blob_has_no_range,
    a_range_of_an_unknown_blob_is_blob_unknown,
    a_part_tells_of_the_whole,
    a_dropped_reader_harms_nobody,
    many_readers_see_the_same,
}

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
    let bytes = content.bytes("app");
    let Ok(long) = RawManifest::with_algorithm(Algorithm::Sha512, MediaType::OCI_MANIFEST, bytes) else {
        panic!("sha512 is known")
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

/// What a range of the ten digits gives, held against what it should.
async fn reads(registry: Subject, range: ByteRange, expected: &str) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let reader = registry.blob(content.here(), &content.digest("layer"), range).await?;
    assert_eq!(reader.bytes(100).await?, expected, "{range:?}");
    Ok(())
}

async fn a_range_from_an_offset_runs_to_the_end(registry: Subject) -> Outcome {
    reads(registry, ByteRange::From(7), "789").await
}

async fn a_range_between_offsets_is_half_open(registry: Subject) -> Outcome {
    reads(registry, ByteRange::Span { start: 2, end: 5 }, "234").await
}

async fn a_range_past_the_end_is_cut_there(registry: Subject) -> Outcome {
    reads(registry, ByteRange::Span { start: 8, end: 1_000_000 }, "89").await
}

async fn a_range_of_the_whole_blob_is_the_whole_blob(registry: Subject) -> Outcome {
    reads(registry, ByteRange::Span { start: 0, end: 10 }, "0123456789").await
}

/// Asserts that the range makes no sense for ten bytes.
async fn refuses(registry: Subject, range: ByteRange) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let refusal = registry.blob(content.here(), &content.digest("layer"), range).await;
    assert_kind(refusal, &[ErrorKind::RangeInvalid]);
    Ok(())
}

async fn a_range_that_starts_at_the_end_is_invalid(registry: Subject) -> Outcome {
    refuses(registry, ByteRange::From(10)).await
}

async fn a_range_that_starts_past_the_end_is_invalid(registry: Subject) -> Outcome {
    refuses(registry, ByteRange::Span { start: 11, end: 12 }).await
}

async fn an_empty_range_is_invalid(registry: Subject) -> Outcome {
    refuses(registry, ByteRange::Span { start: 5, end: 5 }).await
}

async fn an_empty_blob_has_no_range(registry: Subject) -> Outcome {
    let content = Content::new("suite/app").blob("empty", "");
    registry.hold(&content).await?;
    for range in [ByteRange::From(0), ByteRange::Span { start: 0, end: 1 }] {
        let refusal = registry.blob(content.here(), &content.digest("empty"), range).await;
        assert_kind(refusal, &[ErrorKind::RangeInvalid]);
    }
    Ok(())
}

async fn a_range_of_an_unknown_blob_is_blob_unknown(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    assert_kind(registry.blob(content.here(), &Digest::of(b"absent"), ByteRange::From(1)).await, NO_BLOB);
    Ok(())
}

async fn a_part_tells_of_the_whole(registry: Subject) -> Outcome {
    let content = app();
    registry.hold(&content).await?;
    let range = ByteRange::Span { start: 2, end: 5 };
    let reader = registry.blob(content.here(), &content.digest("layer"), range).await?;
    assert_eq!(reader.range(), range);
    assert_eq!((reader.descriptor().digest.clone(), reader.descriptor().size), (content.digest("layer"), 10));
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
