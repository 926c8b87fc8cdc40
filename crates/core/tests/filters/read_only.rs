//! `ReadOnly` beyond the suite: whatever would change the registry is refused, and changes nothing.

use gantri_core::filter::ReadOnly;
use gantri_core::spec::Algorithm;
use gantri_core::{BlobBody, ErrorKind, Manage, Memory, Pull, Push, UploadSession};

use super::{at, images, kind, repo, tag};

#[tokio::test]
async fn every_write_is_unsupported_and_leaves_no_trace() {
    let behind = Memory::new();
    let content = images("team/app");
    content.push_to(&behind).await.unwrap();
    let session = behind.start_upload(&repo("team/app"), Algorithm::Sha256).await.unwrap().session();
    let (registry, here, elsewhere) = (ReadOnly::new(behind.clone()), repo("team/app"), repo("team/new"));
    let (layer, one) = (content.descriptor("layer"), content.digest("one"));

    let outcomes = [
        registry.put_blob(&elsewhere, &layer, BlobBody::bytes("layer")).await,
        registry.mount_blob(&elsewhere, &layer.digest, Some(&here)).await.map(drop),
        registry.start_upload(&here, Algorithm::Sha256).await.map(drop),
        registry.resume_upload(&here, session.clone()).await.map(drop),
        registry.resume_upload(&here, UploadSession::new("none", 0, Algorithm::Sha256)).await.map(drop),
        registry.put_manifest(&here, &content.raw("two"), &[tag("v1")]).await.map(drop),
        registry.delete_tag(&here, &tag("v1")).await,
        registry.delete_manifest(&here, &one).await,
        registry.delete_blob(&here, &layer.digest).await,
    ];
    for outcome in outcomes {
        assert_eq!(kind(outcome), ErrorKind::Unsupported);
    }

    assert_eq!(behind.resolve_manifest(&here, &at("v1")).await.unwrap().digest, one);
    behind.resolve_blob(&here, &layer.digest).await.unwrap();
    assert_eq!(kind(behind.resolve_blob(&elsewhere, &layer.digest).await), ErrorKind::RepositoryUnknown);
    assert_eq!(behind.resume_upload(&here, session).await.unwrap().offset(), 0);
}
