//! Single things written and deleted through the client: blobs, manifests, mounts, tags.

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::{self, StreamExt};
use gantri::spec::{Descriptor, ImageManifest, MediaType, RawManifest};
use gantri::{
    BlobBody, ByteStream, Client, Digest, Discover, Error, ErrorKind, LayoutPath, Location, Mounted, Pull, Reference,
    Tag,
};
use test_support::{Reply, Request, ScriptedServer};

use crate::world::{Embedded, at, bare, client, repo};

fn chunks(parts: &'static [&'static str]) -> ByteStream {
    stream::iter(parts).map(|part| Ok(Bytes::from_static(part.as_bytes()))).boxed()
}

async fn text(client: &Client, place: &Location, digest: &Digest) -> gantri::Result<Bytes> {
    client.blob(place, digest).await?.bytes(1 << 20).await
}

/// O49, O50, G10, C21: of known size or not, in a registry or a layout.
#[tokio::test]
async fn a_blob_is_put_whole_or_as_it_comes() {
    let (embedded, home) = (Embedded::start().await, tempfile::tempdir().unwrap());
    let layout = LayoutPath::new(home.path().join("layout")).into();
    for place in [at(&embedded.host, ""), layout] {
        let whole = Descriptor::of(MediaType::OCTET_STREAM, b"abcdef");
        for _ in 0..2 {
            client().put_blob(&place, &whole, BlobBody::bytes("abcdef")).await.unwrap();
        }
        assert_eq!(text(&client(), &place, &whole.digest).await.unwrap(), "abcdef");
        let (stated, empty) = (Digest::of(b"ghijkl"), Digest::of(b""));
        let parts: &[&str] = &["gh", "", "ijk", "l"];
        for (parts, expected, digest) in [(parts, None, &stated), (parts, Some(&stated), &stated), (&[], None, &empty)]
        {
            let stored = client().put_stream(&place, expected, chunks(parts)).await.unwrap();
            assert_eq!((&stored.digest, stored.size), (digest, parts.concat().len() as u64));
            assert_eq!(text(&client(), &place, digest).await.unwrap(), parts.concat());
        }
    }
}

/// O42, O49: the bytes of a stream are held to the digest that was promised, by its own algorithm.
#[tokio::test]
async fn a_stream_that_is_another_blob_leaves_nothing() {
    let (embedded, home) = (Embedded::start().await, tempfile::tempdir().unwrap());
    let layout = LayoutPath::new(home.path().join("layout")).into();
    let sha512 = gantri::spec::Algorithm::Sha512.digest(b"other").unwrap();
    for place in [at(&embedded.host, ""), layout] {
        for promised in [&Digest::of(b"other"), &sha512] {
            let error = client().put_stream(&place, Some(promised), chunks(&["abc"])).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DigestMismatch, "{error}");
            assert!(text(&client(), &place, &Digest::of(b"abc")).await.is_err());
        }
    }
    assert!(!home.path().join("layout").exists(), "a layout that was not there is not there");
}

/// C24: a source that fails in mid-stream ends the upload, and the registry is told to forget it.
#[tokio::test]
async fn a_stream_that_breaks_off_cancels_its_upload() {
    let server = ScriptedServer::start(|request| match request.method.as_str() {
        "POST" => Reply::new(202).header("location", "/v2/team/app/blobs/uploads/1"),
        _ => Reply::new(204),
    });
    let broken = stream::iter([Ok(Bytes::from_static(b"abc")), Err(Error::new(ErrorKind::Io, "unplugged"))]).boxed();
    let error = client().put_stream(&at(&server.host(), ""), None, broken).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().contains("unplugged")), (ErrorKind::Io, true));
    assert_eq!(methods(&server), ["POST", "DELETE"]);
}

fn methods(server: &ScriptedServer) -> Vec<String> {
    server.requests().into_iter().map(|Request { method, .. }| method).collect()
}

/// O53, O54, G12, C26: byte for byte, under a tag, `latest` without one, or its digest, which is held against the bytes.
#[tokio::test]
async fn a_manifest_is_put_byte_for_byte_under_what_names_it() {
    let embedded = Embedded::start().await;
    let (plain, config) = bare("{}");
    client().put_blob(&at(&embedded.host, ""), &config, BlobBody::bytes("{}")).await.unwrap();
    let spaced = format!("\n{} ", String::from_utf8_lossy(plain.bytes()));
    let manifest = RawManifest::new(MediaType::OCI_MANIFEST, spaced.into());
    let by_digest = format!("@{}", manifest.digest());
    let both = format!(":v3{by_digest}");
    for (named, tag) in [(":v1", Some("v1")), ("", Some("latest")), (&by_digest, None), (&both, Some("v3"))] {
        let put = client().put_manifest(&at(&embedded.host, named), &manifest).await.unwrap();
        assert_eq!(put.tags.iter().map(Tag::as_str).collect::<Vec<_>>(), Vec::from_iter(tag), "{named}");
        let stored = embedded.registry.manifest(&repo(), &manifest.digest().clone().into()).await.unwrap();
        assert_eq!(stored.bytes(), manifest.bytes(), "{named}");
    }
    let other = at(&embedded.host, &format!(":v9@{}", Digest::of(b"other")));
    let refused = client().put_manifest(&other, &manifest).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::DigestMismatch);
    let tags: Vec<Tag> = embedded.registry.tags(&repo(), None).try_collect().await.unwrap();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["latest", "v1", "v3"]);
}

/// O52, C25, G19, G45: a mount is one request; where the registry opens a session instead, that session takes the bytes.
#[tokio::test]
async fn a_refused_mount_goes_on_as_an_upload_in_the_session_that_it_opened() {
    let digest = Digest::of(b"abc");
    let at_target = format!("/v2/b/blobs/uploads/?mount={digest}&from=a").replace("sha256:", "sha256%3A");
    let server = ScriptedServer::start(move |request| match request.method.as_str() {
        "POST" if request.target.ends_with("from=a") => {
            Reply::new(202).header("location", "/v2/b/blobs/uploads/session?state=1")
        }
        "GET" => Reply::ok("abc"),
        "PATCH" => Reply::new(202).header("location", "/v2/b/blobs/uploads/session?state=2").header("range", "0-2"),
        "PUT" => Reply::new(201),
        _ => Reply::new(404),
    });
    let [from, to] = ["a", "b"].map(|name| format!("{}/{name}", server.host()).parse::<Reference>().unwrap());
    assert_eq!(client().mount(&from, &digest, &to).await.unwrap(), Mounted::Sent);
    let requests = server.requests();
    assert_eq!(decoded(&requests[0].target), decoded(&at_target));
    assert!(requests.iter().filter(|request| request.method == "POST").count() == 1, "no second session");
    let sent: Vec<u8> = requests.iter().flat_map(|request| request.body.clone()).collect();
    assert_eq!(sent, b"abc");
    assert!(requests.iter().any(|request| request.method == "PUT" && request.target.contains("session")));
}

fn decoded(target: &str) -> String {
    target.replace("%3A", ":")
}

/// The same: what the registry can make available is not sent.
#[tokio::test]
async fn a_mount_sends_nothing() {
    let embedded = Embedded::start().await;
    let [from, to] =
        ["team/app", "other"].map(|name| format!("{}/{name}", embedded.host).parse::<Reference>().unwrap());
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"abc");
    client().put_blob(&from.clone().into(), &blob, BlobBody::bytes("abc")).await.unwrap();
    assert_eq!(client().mount(&from, &blob.digest, &to).await.unwrap(), Mounted::Mounted);
    assert_eq!(text(&client(), &to.clone().into(), &blob.digest).await.unwrap(), "abc");
    let absent = client().mount(&from, &Digest::of(b"absent"), &to).await.unwrap_err();
    assert_eq!(absent.kind(), ErrorKind::BlobUnknown);
    let elsewhere = client().mount(&"127.0.0.1:1/a".parse().unwrap(), &blob.digest, &to).await.unwrap_err();
    assert_eq!(elsewhere.kind(), ErrorKind::Unsupported);
}

/// O56, G13, C20: a tag goes alone, a digest with all its tags, a blob by its digest; and nothing that was not said.
#[tokio::test]
async fn what_is_named_is_deleted_and_nothing_else() {
    let embedded = Embedded::start().await;
    let place = |rest: &str| at(&embedded.host, rest);
    let (manifest, config) = bare("{}");
    client().put_blob(&place(""), &config, BlobBody::bytes("{}")).await.unwrap();
    for tag in ["v1", "v2", "latest"] {
        client().put_manifest(&place(&format!(":{tag}")), &manifest).await.unwrap();
    }
    let digest = manifest.digest();
    for unclear in ["", &format!(":v1@{digest}")] {
        assert_eq!(client().delete(&place(unclear)).await.unwrap_err().kind(), ErrorKind::NameInvalid, "{unclear:?}");
    }
    client().delete(&place(":v1")).await.unwrap();
    let tags: Vec<Tag> = embedded.registry.tags(&repo(), None).try_collect().await.unwrap();
    assert_eq!(tags.iter().map(Tag::as_str).collect::<Vec<_>>(), ["latest", "v2"]);
    client().delete(&place(&format!("@{digest}"))).await.unwrap();
    assert_eq!(client().resolve(&place(":v2")).await.unwrap_err().kind(), ErrorKind::ManifestUnknown);
    client().delete_blob(&place(""), &config.digest).await.unwrap();
    assert_eq!(client().delete_blob(&place(""), &config.digest).await.unwrap_err().kind(), ErrorKind::BlobUnknown);
}

/// O47, G8, C19: by subject, which need not be there, and of one type; each with its type and annotations.
#[tokio::test]
async fn referrers_are_listed_by_subject_and_type() {
    let embedded = Embedded::start().await;
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"absent");
    let mut put = Vec::new();
    for artifact_type in ["application/a", "application/b"] {
        let config = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
        client().put_blob(&at(&embedded.host, ""), &config, BlobBody::bytes("{}")).await.unwrap();
        let mut manifest = ImageManifest::new(config.clone(), vec![config]);
        manifest.subject = Some(subject.clone());
        manifest.artifact_type = Some(artifact_type.into());
        let raw = manifest.to_raw();
        embedded.put(&raw, &[]).await;
        put.push((raw.digest().clone(), artifact_type));
    }
    put.sort();
    let place = at(&embedded.host, "");
    let listed = async |wanted: Option<&MediaType>| {
        let listing = client().referrers(&place, &subject.digest, wanted).await.unwrap();
        let listing: Vec<Descriptor> = listing.try_collect().await.unwrap();
        let mut listed: Vec<_> =
            listing.into_iter().map(|it| (it.digest, it.artifact_type.unwrap().to_string())).collect();
        listed.sort();
        listed
    };
    assert_eq!(
        listed(None).await,
        put.iter().map(|(digest, kind)| (digest.clone(), (*kind).to_owned())).collect::<Vec<_>>()
    );
    let only = listed(Some(&"application/b".into())).await;
    assert_eq!(only.iter().map(|(_, kind)| kind.as_str()).collect::<Vec<_>>(), ["application/b"]);
}

/// An archive is written whole: nothing in it is changed, and nothing single put into it.
#[tokio::test]
async fn nothing_single_is_changed_in_an_archive() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a.tar");
    let place: Location = format!("oci-archive:{}:v1", file.display()).parse().unwrap();
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"abc");
    let tags: [Tag; 1] = ["v2".parse().unwrap()];
    let refused = [
        client().put_blob(&place, &blob, BlobBody::bytes("abc")).await.unwrap_err(),
        client().tag(&place, &tags).await.unwrap_err(),
        client().delete(&place).await.unwrap_err(),
    ];
    for error in refused {
        assert_eq!((error.kind(), error.hint().is_some()), (ErrorKind::Unsupported, true), "{error}");
    }
    assert!(!file.exists());
}

/// O18, G27, G34, C5, C6: who asks, and for how much, is said by the client to every registry; nonsense is an error at once.
#[tokio::test]
async fn user_agent_and_page_size_are_the_clients() {
    let server = ScriptedServer::start(|_| Reply::ok(r#"{"name":"team/app","tags":["a"]}"#));
    let client = Client::builder().user_agent("tester/1").page_size(Some(7)).build().unwrap();
    let tags: Vec<Tag> = client.tags(&at(&server.host(), "")).await.unwrap().try_collect().await.unwrap();
    assert_eq!(tags.len(), 1);
    let request = &server.requests()[0];
    assert_eq!((request.header("user-agent"), request.target.ends_with("?n=7")), (Some("tester/1"), true));
    for nonsense in [Client::builder().user_agent("a\nb"), Client::builder().page_size(Some(0))] {
        assert_eq!(nonsense.build().unwrap_err().kind(), ErrorKind::Config);
    }
}
