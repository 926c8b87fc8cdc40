//! Endpoints to request lines and back, and everything that is no endpoint.

use http::Method;
use proptest::prelude::*;

use super::*;
use crate::wire::ErrorCode;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn parse(line: &str) -> Result<Endpoint, EndpointError> {
    let line = line.replace("$D", &format!("sha256:{HEX}"));
    let (method, target) = line.split_once(' ').unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    Endpoint::parse(&method.parse::<Method>().unwrap(), path, query)
}

#[test]
fn every_endpoint_is_said_as_the_spec_says_it() {
    let table = [
        ("GET /v2/", "end-1", ""),
        ("HEAD /v2/a/b/blobs/$D", "end-2", "repository:a/b:pull"),
        ("GET /v2/a/b/blobs/$D", "end-2", "repository:a/b:pull"),
        ("HEAD /v2/a/b/manifests/v1", "end-3", "repository:a/b:pull"),
        ("GET /v2/a/b/manifests/$D", "end-3", "repository:a/b:pull"),
        ("POST /v2/a/b/blobs/uploads/", "end-4a", "repository:a/b:pull,push"),
        ("POST /v2/a/b/blobs/uploads/?digest=$D", "end-4b", "repository:a/b:pull,push"),
        ("POST /v2/a/b/blobs/uploads/?digest-algorithm=sha512", "end-4c", "repository:a/b:pull,push"),
        ("PATCH /v2/a/b/blobs/uploads/0-a_b.c~", "end-5", "repository:a/b:pull,push"),
        ("PUT /v2/a/b/blobs/uploads/1?digest=$D", "end-6", "repository:a/b:pull,push"),
        ("PUT /v2/a/b/manifests/v1", "end-7a", "repository:a/b:pull,push"),
        ("PUT /v2/a/b/manifests/$D?tag=v1&tag=latest", "end-7b", "repository:a/b:pull,push"),
        ("GET /v2/a/b/tags/list", "end-8a", "repository:a/b:pull"),
        ("GET /v2/a/b/tags/list?n=10&last=v1", "end-8b", "repository:a/b:pull"),
        ("DELETE /v2/a/b/manifests/v1", "end-9", "repository:a/b:delete"),
        ("DELETE /v2/a/b/blobs/$D", "end-10", "repository:a/b:delete"),
        ("POST /v2/a/b/blobs/uploads/?mount=$D&from=c/d", "end-11", "repository:a/b:pull,push repository:c/d:pull"),
        ("POST /v2/a/b/blobs/uploads/?mount=$D", "end-11", "repository:a/b:pull,push"),
        ("GET /v2/a/b/referrers/$D", "end-12a", "repository:a/b:pull"),
        ("GET /v2/a/b/referrers/$D?artifactType=application/x%2By", "end-12b", "repository:a/b:pull"),
        ("GET /v2/a/b/referrers/$D?artifactType=x/y&n=5&last=$D", "end-12b", "repository:a/b:pull"),
        ("GET /v2/a/b/blobs/uploads/1", "end-13", "repository:a/b:pull,push"),
        ("DELETE /v2/a/b/blobs/uploads/1", "end-14", "repository:a/b:pull,push"),
        ("GET /v2/_catalog?n=5&last=a/b", "catalog", "registry:catalog:*"),
    ];
    for (line, id, scope) in table {
        let endpoint = parse(line).unwrap();
        assert_eq!((endpoint.id(), endpoint.scope().to_string().as_str()), (id, scope), "{line}");
        let said = format!("{} {}", endpoint.method(), endpoint.target());
        assert_eq!(said, line.replace("$D", &format!("sha256:{HEX}")));
        let repository = endpoint.repository().map(RepositoryName::as_str);
        assert_eq!(repository, line.contains("/a/b/").then_some("a/b"), "{line}");
    }
}

#[test]
fn other_spellings_mean_the_same() {
    let table = [
        ("HEAD /v2/", "GET /v2/"),
        ("GET /v2", "GET /v2/"),
        ("GET /v2/a/blobs/sha256%3A$H", "GET /v2/a/blobs/$D"),
        ("GET /v2/%61/manifests/%76%31", "GET /v2/a/manifests/v1"),
        ("POST /v2/a/blobs/uploads", "POST /v2/a/blobs/uploads/"),
        ("PUT /v2/a/blobs/uploads/1?state=x&digest=sha256%3A$H", "PUT /v2/a/blobs/uploads/1?digest=$D"),
        ("POST /v2/a/blobs/uploads/?digest=$D&mount=$D", "POST /v2/a/blobs/uploads/?mount=$D"),
        ("GET /v2/a/tags/list?last=x%2Fy", "GET /v2/a/tags/list?last=x/y"),
        ("GET /v2/a/tags/list?n=1&n=2&unheard=of", "GET /v2/a/tags/list?n=1"),
        ("GET /v2/a/tags/list?n=99999999999999999999", "GET /v2/a/tags/list?n=4294967295"),
        // The last words of the path decide: a repository may be named with any of them.
        ("GET /v2/a/manifests/blobs/manifests/list", "GET /v2/a/manifests/blobs/manifests/list"),
        ("GET /v2/tags/list/tags/list", "GET /v2/tags/list/tags/list"),
        ("GET /v2/a/blobs/uploads/tags/list", "GET /v2/a/blobs/uploads/tags/list"),
    ];
    for (line, meant) in table {
        let endpoint = parse(&line.replace("$H", HEX)).unwrap();
        let said = format!("{} {}", endpoint.method(), endpoint.target());
        assert_eq!(said, meant.replace("$D", &format!("sha256:{HEX}")), "{line}");
    }
}

#[test]
fn r2_what_is_no_endpoint_is_refused_with_the_code_of_the_part_that_is_wrong() {
    let table = [
        ("GET /", 404, "UNSUPPORTED"),
        ("GET /v2x", 404, "UNSUPPORTED"),
        ("GET /v1/a/manifests/v1", 404, "UNSUPPORTED"),
        ("GET /v2/a", 404, "UNSUPPORTED"),
        ("GET /v2/a/", 404, "UNSUPPORTED"),
        ("GET /v2/manifests/v1", 404, "UNSUPPORTED"),
        ("GET /v2/a/tags/list/", 404, "UNSUPPORTED"),
        ("GET /v2/a%2Fb/manifests/v1", 404, "UNSUPPORTED"),
        ("GET /v2/a/blobs/uploads/..%2F..%2Fetc", 404, "UNSUPPORTED"),
        ("GET /v2/a/manifests/%ff", 404, "UNSUPPORTED"),
        ("POST /v2/", 405, "UNSUPPORTED"),
        ("POST /v2/a/manifests/v1", 405, "UNSUPPORTED"),
        ("PUT /v2/a/blobs/$D", 405, "UNSUPPORTED"),
        ("GET /v2/a/blobs/uploads/", 405, "UNSUPPORTED"),
        ("DELETE /v2/a/tags/list", 405, "UNSUPPORTED"),
        ("HEAD /v2/a/referrers/$D", 405, "UNSUPPORTED"),
        ("DELETE /v2/_catalog", 405, "UNSUPPORTED"),
        ("GET /v2/A/manifests/v1", 400, "NAME_INVALID"),
        ("GET /v2/../a/manifests/v1", 400, "NAME_INVALID"),
        ("GET /v2/%2e%2e/a/manifests/v1", 400, "NAME_INVALID"),
        ("GET /v2/a//manifests/v1", 400, "NAME_INVALID"),
        ("GET /v2//a/manifests/v1", 400, "NAME_INVALID"),
        ("POST /v2/a/blobs/uploads/?mount=$D&from=../b", 400, "NAME_INVALID"),
        ("GET /v2/a/manifests/sha256:12", 400, "DIGEST_INVALID"),
        ("GET /v2/a/blobs/../../etc/passwd", 404, "UNSUPPORTED"),
        ("GET /v2/a/blobs/%2e%2e", 400, "DIGEST_INVALID"),
        ("GET /v2/a/blobs/sha256:..", 400, "DIGEST_INVALID"),
        ("GET /v2/a/referrers/v1", 400, "DIGEST_INVALID"),
        ("POST /v2/a/blobs/uploads/?mount=x", 400, "DIGEST_INVALID"),
        ("POST /v2/a/blobs/uploads/?digest=x", 400, "DIGEST_INVALID"),
        ("POST /v2/a/blobs/uploads/?digest-algorithm=md5", 400, "DIGEST_INVALID"),
        ("POST /v2/a/blobs/uploads/?digest-algorithm=other", 400, "DIGEST_INVALID"),
        ("PUT /v2/a/blobs/uploads/1", 400, "DIGEST_INVALID"),
        ("PUT /v2/a/manifests/.v1", 400, "TAG_INVALID"),
        ("PUT /v2/a/manifests/$D?tag=v1&tag=a/b", 400, "TAG_INVALID"),
        ("GET /v2/a/manifests/.INVALID_MANIFEST_NAME", 404, "MANIFEST_UNKNOWN"),
        ("DELETE /v2/a/manifests/..", 404, "MANIFEST_UNKNOWN"),
        ("GET /v2/a/manifests/v%0d%0a1", 404, "MANIFEST_UNKNOWN"),
        ("GET /v2/a/blobs/uploads/..", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET /v2/a/blobs/uploads/.", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET /v2/a/blobs/uploads/a%00b", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET /v2/a/blobs/uploads/a%5Cb", 404, "BLOB_UPLOAD_UNKNOWN"),
        ("GET /v2/a/tags/list?n=-1", 400, "PAGINATION_NUMBER_INVALID"),
        ("GET /v2/a/tags/list?n=", 400, "PAGINATION_NUMBER_INVALID"),
        ("GET /v2/_catalog?n=ten", 400, "PAGINATION_NUMBER_INVALID"),
    ];
    for (line, status, code) in table {
        let error = parse(line).expect_err(line);
        assert_eq!((error.status().as_u16(), error.code().as_str()), (status, code), "{line}");
        assert!(!error.to_string().contains(char::is_control), "{line}");
    }
    let long = format!("GET /v2/a/blobs/uploads/{}", "x".repeat(257));
    assert_eq!(parse(&long).unwrap_err().code(), ErrorCode::BlobUploadUnknown);
}

fn repo() -> impl Strategy<Value = RepositoryName> {
    let word = r"[a-z0-9]{1,4}([._-][a-z0-9]{1,3})?|manifests|blobs|uploads|tags|list|referrers";
    prop::collection::vec(word, 1..5).prop_map(|words| words.join("/").parse().unwrap())
}

fn digest() -> impl Strategy<Value = Digest> {
    let digest = "sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}|blake3:[0-9a-f]{64}|a[+]b:[A-Za-z0-9=_-]{1,40}";
    digest.prop_map(|text| text.parse().unwrap())
}

fn tag() -> impl Strategy<Value = Tag> {
    "[A-Za-z0-9_][A-Za-z0-9._-]{0,20}|uploads|list".prop_map(|text| text.parse().unwrap())
}

fn selector() -> impl Strategy<Value = Selector> {
    prop_oneof![digest().prop_map(Selector::Digest), tag().prop_map(Selector::Tag)]
}

fn page() -> impl Strategy<Value = Page> {
    (any::<Option<u32>>(), prop::option::of(".{0,20}")).prop_map(|(n, last)| Page { n, last })
}

fn reads() -> impl Strategy<Value = Endpoint> {
    let artifact = prop::option::of("[a-z]{1,5}/[a-z.+-]{1,9}".prop_map(|text| text.parse().unwrap()));
    prop_oneof![
        Just(Endpoint::Ping),
        (repo(), digest()).prop_map(|(repo, digest)| Endpoint::ResolveBlob { repo, digest }),
        (repo(), digest()).prop_map(|(repo, digest)| Endpoint::Blob { repo, digest }),
        (repo(), selector()).prop_map(|(repo, at)| Endpoint::ResolveManifest { repo, at }),
        (repo(), selector()).prop_map(|(repo, at)| Endpoint::Manifest { repo, at }),
        (repo(), page()).prop_map(|(repo, page)| Endpoint::Tags { repo, page }),
        page().prop_map(|page| Endpoint::Repositories { page }),
        (repo(), digest(), artifact, page()).prop_map(|(repo, digest, artifact_type, page)| Endpoint::Referrers {
            repo,
            digest,
            artifact_type,
            page
        }),
    ]
}

fn writes() -> impl Strategy<Value = Endpoint> {
    let id = || "[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,40}";
    let algorithm = prop::option::of(prop::sample::select(vec![Algorithm::Sha256, Algorithm::Sha512]));
    prop_oneof![
        (repo(), selector(), prop::collection::vec(tag(), 0..3)).prop_map(|(repo, at, tags)| Endpoint::PutManifest {
            repo,
            at,
            tags
        }),
        (repo(), selector()).prop_map(|(repo, at)| Endpoint::DeleteManifest { repo, at }),
        (repo(), digest()).prop_map(|(repo, digest)| Endpoint::DeleteBlob { repo, digest }),
        (repo(), algorithm).prop_map(|(repo, algorithm)| Endpoint::StartUpload { repo, algorithm }),
        (repo(), digest()).prop_map(|(repo, digest)| Endpoint::PutBlobAtOnce { repo, digest }),
        (repo(), digest(), prop::option::of(repo())).prop_map(|(repo, digest, from)| Endpoint::MountBlob {
            repo,
            digest,
            from
        }),
        (repo(), id()).prop_map(|(repo, id)| Endpoint::UploadStatus { repo, id }),
        (repo(), id()).prop_map(|(repo, id)| Endpoint::WriteUpload { repo, id }),
        (repo(), id(), digest()).prop_map(|(repo, id, digest)| Endpoint::CommitUpload { repo, id, digest }),
        (repo(), id()).prop_map(|(repo, id)| Endpoint::CancelUpload { repo, id }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn an_endpoint_said_and_parsed_is_the_same(endpoint in prop_oneof![reads(), writes()]) {
        let target = endpoint.target();
        prop_assert!(target.starts_with("/v2/") && target.parse::<http::Uri>().is_ok(), "{}", target);
        let (path, query) = target.split_once('?').map_or((&*target, None), |(path, query)| (path, Some(query)));
        prop_assert_eq!(Endpoint::parse(&endpoint.method(), path, query), Ok(endpoint));
    }

    #[test]
    fn no_request_line_makes_it_panic(path in "(/|v2|manifests|blobs|uploads|tags|list|%2|%00|[.]|.){0,12}", query in ".{0,30}") {
        for method in [Method::GET, Method::POST, Method::PUT] {
            let _ = Endpoint::parse(&method, &path, Some(&query));
            let _ = Endpoint::parse(&method, &format!("/v2/a/{path}"), Some(&query));
        }
    }
}
