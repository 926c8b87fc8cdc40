//! Pushing manifests: what is confirmed (H19), how tags are set, and what deleting takes.

use gantri_core::{ErrorKind, Manage, Push};
use gantri_spec::{Descriptor, Digest, Index, MediaType, Tag};

use crate::script::{HOST, Reply, Script, remote, repo};

const DATA: &[u8] = b"0123456789";

fn blob() -> Descriptor {
    Descriptor::of(MediaType::OCTET_STREAM, DATA)
}

#[tokio::test]
async fn tags_are_set_at_once_or_one_by_one() {
    let manifest = Index::new(vec![]).to_raw();
    let tags: Vec<Tag> = ["v1", "v2", "v3"].iter().map(|tag| tag.parse().unwrap()).collect();
    let digest = manifest.digest().clone();
    let url = format!("PUT https://{HOST}/v2/a/b/manifests/");

    let script = Script::new(|_, _| Reply::status(201));
    remote(&script).put_manifest(&repo(), &manifest, &tags[..1]).await.unwrap();
    assert_eq!(script.lines(), [format!("{url}v1")]);
    assert_eq!(script.seen()[0].header("content-type"), Some(MediaType::OCI_INDEX.as_str()));
    assert_eq!(script.seen()[0].body, manifest.bytes());

    let script = Script::new(|_, _| Reply::status(201));
    remote(&script).put_manifest(&repo(), &manifest, &[]).await.unwrap();
    assert_eq!(script.lines(), [format!("{url}{digest}")]);

    let script = Script::new(|_, _| Reply::status(201).header("oci-tag", "v1").header("oci-tag", "v3"));
    let put = remote(&script).put_manifest(&repo(), &manifest, &tags).await.unwrap();
    assert_eq!(put.tags, tags);
    assert_eq!(script.lines(), [format!("{url}{digest}?tag=v1&tag=v2&tag=v3"), format!("{url}v2")]);
}

#[tokio::test]
async fn what_a_registry_confirms_must_be_what_was_sent() {
    let manifest = Index::new(vec![]).to_raw();
    let script = Script::new(|_, _| Reply::status(201).header("docker-content-digest", Digest::of(b"x")));
    let error = remote(&script).put_manifest(&repo(), &manifest, &[]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DigestMismatch);
    let subject = Digest::of(b"subject");
    let script = Script::new(move |_, _| Reply::status(201).header("oci-subject", &subject));
    let put = remote(&script).put_manifest(&repo(), &manifest, &[]).await.unwrap();
    assert_eq!(put.subject, Some(Digest::of(b"subject")));
}

#[tokio::test]
async fn deleting_is_one_request_and_any_success_will_do() {
    // A manifest is looked at first, for it may be a referrer that nobody but us keeps a list of.
    for status in [200, 202, 204] {
        let script = Script::new(move |_, _| Reply::status(status));
        let remote = remote(&script);
        remote.delete_tag(&repo(), &Tag::latest()).await.unwrap();
        remote.delete_manifest(&repo(), &blob().digest).await.unwrap();
        remote.delete_blob(&repo(), &blob().digest).await.unwrap();
        let digest = blob().digest;
        assert_eq!(
            script.lines(),
            [
                format!("DELETE https://{HOST}/v2/a/b/manifests/latest"),
                format!("GET https://{HOST}/v2/a/b/manifests/{digest}"),
                format!("DELETE https://{HOST}/v2/a/b/manifests/{digest}"),
                format!("DELETE https://{HOST}/v2/a/b/blobs/{digest}"),
            ]
        );
    }
    for (status, kind) in [(404, ErrorKind::ManifestUnknown), (405, ErrorKind::Unsupported)] {
        let script = Script::new(move |_, _| Reply::status(status));
        assert_eq!(remote(&script).delete_tag(&repo(), &Tag::latest()).await.unwrap_err().kind(), kind);
    }
}
