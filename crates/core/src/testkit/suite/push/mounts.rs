//! Rules of mounts: a blob that is there need not be sent, and a registry that would rather have it sent says so with a
//! session that works.

use bytes::Bytes;
use gantri_spec::{Digest, RepositoryName};

use super::super::{assert_no_blob, repo, whole};
use crate::Mount;
use crate::testkit::{Content, Outcome, Subject};

cases! { $ __push_mount_cases in mounts needs [Push];
    a_mount_makes_the_blob_readable [Mount],
    a_mount_without_a_source_finds_the_blob [Mount, MountAnywhere],
    a_mount_of_what_is_there_succeeds [Mount],
    a_mount_looks_only_where_it_is_told [Mount, Repositories],
    a_mount_of_an_absent_blob_leaves_nothing,
    a_mount_of_an_absent_blob_can_be_uploaded_instead,
    a_mount_from_an_unknown_repository_can_be_uploaded_instead,
}

fn source() -> Content {
    Content::new("suite/source").blob("layer", "layer")
}

fn target() -> RepositoryName {
    repo("suite/target")
}

async fn a_mount_makes_the_blob_readable(registry: Subject) -> Outcome {
    let content = source();
    registry.hold(&content).await?;
    let answer = registry.mount_blob(&target(), &content.digest("layer"), Some(content.here())).await?;
    assert!(matches!(answer, Mount::Mounted), "{answer:?}");
    assert_eq!(whole(&*registry, &target(), &content.digest("layer")).await?, "layer");
    Ok(())
}

async fn a_mount_without_a_source_finds_the_blob(registry: Subject) -> Outcome {
    let content = source();
    registry.hold(&content).await?;
    let answer = registry.mount_blob(&target(), &content.digest("layer"), None).await?;
    assert!(matches!(answer, Mount::Mounted), "{answer:?}");
    assert_eq!(whole(&*registry, &target(), &content.digest("layer")).await?, "layer");
    Ok(())
}

async fn a_mount_of_what_is_there_succeeds(registry: Subject) -> Outcome {
    let content = source();
    registry.hold(&content).await?;
    for _ in 0..2 {
        let answer = registry.mount_blob(&target(), &content.digest("layer"), Some(content.here())).await?;
        assert!(matches!(answer, Mount::Mounted), "{answer:?}");
    }
    assert_eq!(whole(&*registry, &target(), &content.digest("layer")).await?, "layer");
    Ok(())
}

async fn a_mount_looks_only_where_it_is_told(registry: Subject) -> Outcome {
    let content = source().repo("suite/bystander").blob("other", "other");
    registry.hold(&content).await?;
    let digest = content.digest("layer");
    let answer = registry.mount_blob(&target(), &digest, Some(content.here())).await?;
    assert!(!matches!(answer, Mount::Mounted), "mounted from a repository that has no such blob");
    assert_no_blob(&*registry, &target(), &digest).await;
    Ok(())
}

async fn a_mount_of_an_absent_blob_leaves_nothing(registry: Subject) -> Outcome {
    let content = source();
    registry.hold(&content).await?;
    let absent = Digest::of(b"absent");
    for from in [Some(content.here()), None] {
        let answer = registry.mount_blob(&target(), &absent, from).await?;
        assert!(!matches!(answer, Mount::Mounted), "mounted what is nowhere");
        assert_no_blob(&*registry, &target(), &absent).await;
    }
    Ok(())
}

async fn a_mount_of_an_absent_blob_can_be_uploaded_instead(registry: Subject) -> Outcome {
    let content = source();
    registry.hold(&content).await?;
    uploads_instead(registry, Some(content.here())).await
}

async fn a_mount_from_an_unknown_repository_can_be_uploaded_instead(registry: Subject) -> Outcome {
    uploads_instead(registry, Some(&repo("suite/nowhere"))).await
}

/// Asserts that the session that a mount opened, if it did, takes the blob.
async fn uploads_instead(registry: Subject, from: Option<&RepositoryName>) -> Outcome {
    let digest = Digest::of(b"instead");
    match registry.mount_blob(&target(), &digest, from).await? {
        Mount::Mounted => panic!("mounted what is nowhere"),
        Mount::Unavailable => {}
        Mount::Started(mut upload) => {
            assert_eq!(upload.offset(), 0);
            upload.write(Bytes::from_static(b"instead")).await?;
            upload.commit(&digest).await?;
            assert_eq!(whole(&*registry, &target(), &digest).await?, "instead");
        }
    }
    Ok(())
}
