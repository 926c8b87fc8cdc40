//! Manifests: one request each, and whom to believe about a digest (M4, M8, M9).

use bytes::Bytes;
use gantri_core::{ErrorKind, Pull};
use gantri_spec::{Algorithm, Digest, MediaType};

use crate::script::{Reply, Script, at, broken, builder, limits, remote, repo, tag};

const BODY: &str = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest() -> Digest {
    Digest::of(BODY.as_bytes())
}

fn answer() -> Reply {
    Reply::ok(BODY).header("content-type", INDEX).header("docker-content-digest", digest())
}

#[tokio::test]
async fn a_manifest_is_one_request_and_says_what_it_accepts() {
    let script = Script::new(|_, _| answer());
    let manifest = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!(manifest.bytes(), BODY);
    assert_eq!(*manifest.digest(), digest());
    assert_eq!(*manifest.media_type(), MediaType::OCI_INDEX);
    assert_eq!(script.lines(), ["GET https://registry.test/v2/a/b/manifests/v1"]);
    let seen = &script.seen()[0];
    for media_type in
        [MediaType::OCI_MANIFEST, MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST, MediaType::DOCKER_MANIFEST_LIST]
    {
        assert!(seen.header("accept").unwrap().contains(media_type.as_str()), "{media_type}");
    }
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert!(seen.header("user-agent").unwrap().starts_with("gantri/"));
}

/// M4: what the header says against what the body is, asked by tag and by digest.
#[tokio::test]
async fn a_digest_header_is_believed_only_if_the_body_agrees() {
    type Told<'a> = Result<&'a str, ErrorKind>;
    let sha512 = Algorithm::Sha512.digest(BODY.as_bytes()).unwrap().to_string();
    let wrong = Digest::of(b"something else").to_string();
    let wrong512 = Algorithm::Sha512.digest(b"something else").unwrap().to_string();
    let right = digest().to_string();
    let cases: [(&str, Option<&str>, Told<'_>, Told<'_>); 8] = [
        ("right", Some(&right), Ok(&right), Ok(&right)),
        ("absent", None, Ok(&right), Ok(&right)),
        ("empty", Some(""), Ok(&right), Ok(&right)),
        ("malformed", Some("sha256:short"), Err(ErrorKind::Protocol), Err(ErrorKind::Protocol)),
        ("wrong", Some(&wrong), Err(ErrorKind::DigestMismatch), Err(ErrorKind::DigestMismatch)),
        ("right, other algorithm", Some(&sha512), Ok(&sha512), Ok(&right)),
        ("wrong, other algorithm", Some(&wrong512), Err(ErrorKind::DigestMismatch), Err(ErrorKind::DigestMismatch)),
        ("unknown algorithm", Some("blake9:abcdef"), Err(ErrorKind::Unsupported), Err(ErrorKind::Unsupported)),
    ];
    for (name, header, by_tag, by_digest) in cases {
        let header = header.map(str::to_owned);
        let script = Script::new(move |_, _| {
            let answer = Reply::ok(BODY).header("content-type", INDEX);
            header.iter().fold(answer, |answer, value| answer.header("docker-content-digest", value))
        });
        for (selector, expected) in [(tag("v1"), by_tag), (at(&digest()), by_digest)] {
            let told = remote(&script).manifest(&repo(), &selector).await;
            let told = told.map(|manifest| manifest.digest().to_string()).map_err(|error| error.kind());
            assert_eq!(told, expected.map(str::to_owned), "{name}, at {selector}");
        }
    }
}

/// M3: a pull by sha512 never settles for the header's sha256.
#[tokio::test]
async fn the_digest_asked_for_is_verified_by_its_own_algorithm() {
    let asked = Algorithm::Sha512.digest(b"something else").unwrap();
    let script = Script::new(|_, _| answer());
    let error = remote(&script).manifest(&repo(), &at(&asked)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

#[tokio::test]
async fn resolving_is_one_head() {
    let script = Script::new(|_, _| {
        Reply::status(200)
            .header("content-type", INDEX)
            .header("docker-content-digest", digest())
            .header("content-length", BODY.len())
    });
    let descriptor = remote(&script).resolve_manifest(&repo(), &tag("v1")).await.unwrap();
    assert_eq!((descriptor.digest, descriptor.size), (digest(), BODY.len() as u64));
    assert_eq!(descriptor.media_type, MediaType::OCI_INDEX);
    assert_eq!(script.lines(), ["HEAD https://registry.test/v2/a/b/manifests/v1"]);
}

/// M4: what HEAD leaves out is computed from GET; HEAD that is not answered as well.
#[tokio::test]
async fn what_head_leaves_out_is_asked_of_get() {
    type Head = fn() -> Reply;
    let heads: [(&str, Head); 8] = [
        ("no digest", || Reply::status(200).header("content-type", INDEX).header("content-length", 88)),
        ("empty digest", || {
            Reply::status(200)
                .header("content-type", INDEX)
                .header("content-length", 88)
                .header("docker-content-digest", "")
        }),
        ("no type", || Reply::status(200).header("content-length", 88).header("docker-content-digest", digest())),
        ("a type that says nothing", || {
            Reply::status(200)
                .header("content-type", "application/json")
                .header("content-length", 88)
                .header("docker-content-digest", digest())
        }),
        ("no length", || Reply::status(200).header("content-type", INDEX).header("docker-content-digest", digest())),
        ("recoded", || {
            Reply::status(200)
                .header("content-type", INDEX)
                .header("content-length", 40)
                .header("content-encoding", "gzip")
                .header("docker-content-digest", digest())
        }),
        ("405", || Reply::status(405)),
        ("501", || Reply::status(501)),
    ];
    for (name, head) in heads {
        let script = Script::new(move |seen, _| if seen.method == "HEAD" { head() } else { answer() });
        let descriptor = remote(&script).resolve_manifest(&repo(), &tag("v1")).await.unwrap();
        assert_eq!((descriptor.digest, descriptor.size), (digest(), BODY.len() as u64), "{name}");
        assert_eq!(script.count(), 2, "{name}");
    }
}

#[tokio::test]
async fn head_for_another_digest_than_asked_is_an_error() {
    let script = Script::new(|_, _| {
        Reply::status(200)
            .header("content-type", INDEX)
            .header("content-length", 88)
            .header("docker-content-digest", Digest::of(b"x"))
    });
    let error = remote(&script).resolve_manifest(&repo(), &at(&digest())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
}

/// M9: web pages, empty answers and junk are no registry; what is shown of them can do no harm.
#[tokio::test]
async fn what_is_no_registry_is_called_so() {
    type Page = fn() -> Reply;
    let pages: [(&str, Page); 7] = [
        ("html", || Reply::ok("<html>log in \u{1b}[2J</html>").header("content-type", "text/html; charset=utf-8")),
        ("html without a type", || Reply::ok("<!DOCTYPE html><p>log in")),
        ("html as 404", || Reply::status(404).body("<html>not here").header("content-type", "text/html")),
        ("empty 200", || Reply::ok("")),
        ("204", || Reply::status(204)),
        ("text", || Reply::ok("It works!").header("content-type", "text/plain")),
        ("not json", || Reply::ok("{\"a\":").header("content-type", "application/json")),
    ];
    for (name, page) in pages {
        let script = Script::new(move |_, _| page());
        let error = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotARegistry, "{name}: {error}");
        assert!(!error.to_string().contains('\u{1b}'), "{name}");
        assert_eq!(script.count(), 1, "{name}");
    }
    let script = Script::new(|_, _| Reply::status(200).header("content-type", "text/html"));
    let error = remote(&script).resolve_manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotARegistry);
}

/// M8: bytes that were recoded on the way are not those the digest is over.
#[tokio::test]
async fn a_recoded_body_is_refused() {
    let script = Script::new(|_, _| answer().header("content-encoding", "gzip"));
    let error = remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let script = Script::new(|_, _| answer().header("content-encoding", "identity"));
    assert!(remote(&script).manifest(&repo(), &tag("v1")).await.is_ok());
}

/// M6, M7: announced or not, a body over the bound is not held in memory.
#[tokio::test]
async fn a_manifest_has_a_bound() {
    let limits = limits(|limits| limits.manifest = 64);
    let announced = Script::new(|_, _| answer());
    let endless = Script::new(|_, _| {
        let chunks = futures_util::stream::repeat_with(|| Ok(Bytes::from_static(b"          ")));
        Reply::status(200).header("content-type", INDEX).stream(Box::pin(chunks))
    });
    for script in [announced, endless] {
        let remote = builder(&script).limits(limits.clone()).build().unwrap();
        let error = remote.manifest(&repo(), &tag("v1")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
        assert!(error.to_string().contains("manifest = 64"), "{error}");
    }
}

/// H2: a small body that breaks off is asked for again, whole.
#[tokio::test(start_paused = true)]
async fn a_manifest_that_breaks_off_is_asked_for_again() {
    let script = Script::new(|_, before| match before {
        0 | 1 => Reply::status(200).header("content-type", INDEX).chunks([Ok("{".into()), Err(broken())]),
        _ => answer(),
    });
    assert_eq!(remote(&script).manifest(&repo(), &tag("v1")).await.unwrap().bytes(), BODY);
    assert_eq!(script.count(), 3);
}

/// C9: an answer to HEAD has no body, and its status says what kind of error it is.
#[tokio::test(start_paused = true)]
async fn a_refused_head_has_a_kind() {
    let cases = [
        (401, ErrorKind::Unauthorized),
        (403, ErrorKind::Denied),
        (429, ErrorKind::RateLimited),
        (400, ErrorKind::Protocol),
        (503, ErrorKind::Unavailable),
    ];
    for (status, kind) in cases {
        let script = Script::new(move |_, _| Reply::status(status));
        let error = remote(&script).resolve_manifest(&repo(), &tag("v1")).await.unwrap_err();
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status), "{error:?}");
        assert_eq!((error.kind(), error.codes()), (kind, &[][..]), "{error:?}");
        assert!(script.methods().split(' ').all(|method| method == "HEAD"), "{status}: {}", script.methods());
    }
}

#[tokio::test]
async fn what_is_not_there_has_a_kind_even_without_a_body() {
    let script = Script::new(|_, _| Reply::status(404));
    let remote = remote(&script);
    let error = remote.manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ManifestUnknown);
    assert_eq!(error.to_string(), "manifest registry.test/a/b:v1: not found (404)");
    assert_eq!(remote.resolve_manifest(&repo(), &tag("v1")).await.unwrap_err().kind(), ErrorKind::ManifestUnknown);
    assert_eq!(remote.resolve_blob(&repo(), &digest()).await.unwrap_err().kind(), ErrorKind::BlobUnknown);
    let script = Script::new(|_, _| Reply::status(404).body(r#"{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}"#));
    let error = crate::script::remote(&script).manifest(&repo(), &tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RepositoryUnknown);
}
