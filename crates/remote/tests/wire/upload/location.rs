//! A5: every form of location, for every step of an upload: where it leads, and who learns who asks.

use bytes::Bytes;
use gantri_core::{BlobBody, ErrorKind, Push};
use gantri_spec::{Algorithm, Descriptor, MediaType};

use crate::script::{HOST, Reply, Script, builder_for, named, remote, repo};

const DATA: &[u8] = b"0123456789";

fn blob() -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, DATA)
}

/// Where the next request goes, and whether it is authorized; `None` if it is refused.
const FORMS: [(&str, Option<(&str, bool)>); 15] = [
    ("/v2/u/1", Some(("https://registry.test/v2/u/1", true))),
    ("https://registry.test/v2/u/1?a=b", Some(("https://registry.test/v2/u/1?a=b", true))),
    (
        "https://registry.test/v2/u/1?_state=x%2Fy==&a+b",
        Some(("https://registry.test/v2/u/1?_state=x%2Fy==&a+b", true)),
    ),
    ("u/1", Some(("https://registry.test/v2/a/b/blobs/uploads/u/1", true))),
    ("https://registry.test:443/u", Some(("https://registry.test/u", true))),
    // A proxy in front that the registry does not know of: put right.
    ("http://registry.test/u", Some(("https://registry.test/u", true))),
    ("https://other.test/u", Some(("https://other.test/u", false))),
    ("//other.test/u", Some(("https://other.test/u", false))),
    ("https://registry.test:444/u", Some(("https://registry.test:444/u", false))),
    ("https://registry.test.evil.test/u", Some(("https://registry.test.evil.test/u", false))),
    ("http://other.test/u", None),
    ("https://127.0.0.1/u", None),
    ("https://169.254.169.254/u", None),
    ("https://me:pw@registry.test/u", None),
    ("file:///etc/passwd", None),
];

/// Given by POST: PATCH, PUT, GET and DELETE go there.
#[tokio::test]
async fn a_location_leads_only_where_it_may() {
    for (location, expected) in FORMS {
        let script = Script::new(move |seen, before| match (before, seen.name()) {
            (0, _) => Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
            (1, "POST") => Reply::status(202).header("location", location),
            (_, "GET") => Reply::status(204),
            _ => Reply::status(202),
        });
        let remote = named(&script);
        let upload = remote.start_upload(&repo(), Algorithm::Sha256).await;
        let Some((url, authorized)) = expected else {
            assert_eq!(upload.unwrap_err().kind(), ErrorKind::Protocol, "{location}");
            assert_eq!(script.count(), 2, "{location}");
            continue;
        };
        let mut upload = upload.unwrap();
        upload.write(Bytes::from_static(DATA)).await.unwrap();
        let session = upload.session();
        upload.commit(&blob().digest).await.unwrap();
        let upload = remote.resume_upload(&repo(), session).await.unwrap();
        upload.cancel().await.unwrap();
        assert_eq!(script.methods(), "POST POST PATCH PUT GET DELETE");
        for step in &script.seen()[2..] {
            assert!(step.url.starts_with(url), "{location}: {}", step.url);
            assert_eq!(step.authorization().is_some(), authorized, "{location} {}", step.method);
        }
    }
}

/// Given by PATCH, and by GET: the next step goes there, under the same rules. A put that is led astray ends its session
/// where that was, and sends nothing elsewhere.
#[tokio::test]
async fn a_location_may_change_with_every_step() {
    for (location, expected) in FORMS.into_iter().filter(|(location, _)| *location != "u/1") {
        for (moved_by, range) in [("PATCH", "0-9"), ("GET", "0-9")] {
            let script = Script::new(move |seen, before| match (before, seen.name()) {
                (0, _) => Reply::status(401).header("www-authenticate", "Basic realm=\"x\""),
                (_, "HEAD") => Reply::status(404),
                (_, "POST") => Reply::status(202).header("location", "/v2/a/b/blobs/uploads/1"),
                (_, method) if method == moved_by => {
                    Reply::status(202).header("location", location).header("range", range)
                }
                // Something else than all there is, so that the upload is asked about.
                (_, "PATCH") => Reply::status(202).header("range", "0-3"),
                _ => Reply::status(201),
            });
            let mut limits = gantri_core::Limits::default();
            limits.monolithic_put = 0;
            let remote = crate::script::builder(&script)
                .credentials(std::sync::Arc::new(gantri_remote::Credential::basic("me", "canary")))
                .limits(limits)
                .build()
                .unwrap();
            let outcome = remote.put_blob(&repo(), &blob(), BlobBody::bytes(DATA)).await;
            let steps = if moved_by == "PATCH" { "PATCH" } else { "PATCH GET" };
            let Some((url, authorized)) = expected else {
                assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Protocol, "{location}");
                let seen = script.seen();
                assert!(seen.iter().all(|seen| seen.url.starts_with("https://registry.test/v2/a/b/")), "{location}");
                continue;
            };
            outcome.unwrap();
            assert!(script.methods().ends_with(&format!("{steps} PUT")), "{}", script.methods());
            let put = script.seen().pop().unwrap();
            assert!(put.url.starts_with(url), "{location}: {}", put.url);
            assert_eq!(put.authorization().is_some(), authorized, "{location}");
        }
    }
}

/// The digest is added to the query, whatever that is, and nothing else is touched.
#[tokio::test]
async fn a_query_is_kept_as_it_is() {
    let digest = blob().digest.to_string().replace(':', "%3A");
    for query in ["", "?", "?a=b", "?state=x%2Fy", "?_state=a==&b=c+d&e=%7E", "?flag"] {
        let script = Script::new(move |seen, _| match seen.name() {
            "POST" => Reply::status(202).header("location", format!("/v2/u/1{query}")),
            _ => Reply::status(201),
        });
        let upload = remote(&script).start_upload(&repo(), Algorithm::Sha256).await.unwrap();
        upload.commit(&blob().digest).await.unwrap();
        let joint = match query {
            "" => "?",
            "?" => "",
            _ => "&",
        };
        assert_eq!(script.seen()[1].url, format!("https://{HOST}/v2/u/1{query}{joint}digest={digest}"));
    }
}

/// A lost port is put right as well.
#[tokio::test]
async fn a_location_that_lost_its_port_is_put_right() {
    let script = Script::new(|seen, _| match seen.name() {
        "POST" => Reply::status(202).header("location", "http://localhost/v2/u/1"),
        _ => Reply::status(202),
    });
    let remote = builder_for("localhost:5000", &script).build().unwrap();
    remote.start_upload(&repo(), Algorithm::Sha256).await.unwrap().write(Bytes::from_static(DATA)).await.unwrap();
    assert_eq!(script.seen()[1].url, "http://localhost:5000/v2/u/1");
}

#[tokio::test]
async fn an_upload_without_a_location_is_none() {
    let script = Script::new(|_, _| Reply::status(202));
    let error = remote(&script).start_upload(&repo(), Algorithm::Sha256).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
}
