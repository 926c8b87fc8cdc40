//! Rules of uploads in chunks: where they stand is what the registry has, they outlive their handles, and they end once
//! (R4).

use bytes::Bytes;
use futures_util::future::{join, poll_immediate};
use gantri_spec::{Algorithm, Digest, RepositoryName};

use super::super::{assert_kind, assert_no_blob, noise, repo, whole};
use crate::testkit::profile::in_sha512;
use crate::testkit::{Outcome, Subject};
use crate::{BlobUpload, ErrorKind, UploadSession};

cases! { $ __push_upload_cases in uploads needs [Push, Uploads];
    an_upload_begins_at_zero,
    the_offset_counts_what_was_written,
    chunks_are_committed_as_one_blob,
    chunks_of_any_size_are_committed_in_order,
    nothing_is_seen_before_the_commit,
    commit_with_wrong_digest_leaves_nothing [CommitMismatch],
    commit_with_wrong_digest_ends_the_session [CommitMismatch, RefusedCommitEnds],
    commit_of_nothing_is_the_empty_blob,
    commit_of_a_blob_that_is_there_succeeds,
    commit_of_an_upload_of_sha512 [Sha512],
    commit_by_another_algorithm_hashes_again [Sha512],
    commit_by_another_algorithm_is_checked [Sha512, CommitMismatch],
    commit_ends_the_session,
    of_two_who_commit_one_succeeds [RacingCommits],
    an_empty_chunk_changes_nothing,
    an_upload_outlives_its_handle,
    a_resumed_upload_stands_where_the_registry_says [EarlierSessions],
    a_session_survives_being_written_down,
    an_interrupted_write_leaves_a_session [EarlierSessions],
    a_second_handle_cannot_write_over_the_first [EarlierSessions],
    a_cancelled_upload_is_unknown,
    uploads_do_not_mix,
}

fn here() -> RepositoryName {
    repo("suite/push")
}

async fn started(registry: &Subject) -> crate::Result<Box<dyn BlobUpload>> {
    registry.start_upload(&here(), Algorithm::Sha256).await
}

/// Asserts that the session is over: resuming it fails, or at the latest the first write does.
async fn assert_over(registry: &Subject, session: UploadSession) {
    let outcome = match registry.resume_upload(&here(), session).await {
        Ok(mut upload) => upload.write(Bytes::from_static(b"more")).await,
        Err(error) => Err(error),
    };
    assert_kind(outcome, &[ErrorKind::UploadUnknown]);
}

async fn an_upload_begins_at_zero(registry: Subject) -> Outcome {
    let upload = started(&registry).await?;
    assert_eq!(upload.offset(), 0);
    let session = upload.session();
    assert_eq!((session.offset, session.algorithm), (0, Algorithm::Sha256));
    Ok(())
}

async fn the_offset_counts_what_was_written(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    for (chunk, offset) in [("he", 2), ("llo", 5)] {
        upload.write(chunk.into()).await?;
        assert_eq!((upload.offset(), upload.session().offset), (offset, offset));
    }
    Ok(())
}

async fn chunks_are_committed_as_one_blob(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    upload.write("he".into()).await?;
    upload.write("llo".into()).await?;
    let digest = Digest::of(b"hello");
    let committed = upload.commit(&digest).await?;
    assert_eq!((&committed.digest, committed.size), (&digest, 5));
    assert_eq!(registry.resolve_blob(&here(), &digest).await?.size, 5);
    assert_eq!(whole(&*registry, &here(), &digest).await?, "hello");
    Ok(())
}

async fn chunks_of_any_size_are_committed_in_order(registry: Subject) -> Outcome {
    let bytes = noise(1 + 7 + 4_096 + 65_537 + 1_000_000);
    let mut upload = started(&registry).await?;
    let mut rest = bytes.clone();
    for size in [1, 7, 4_096, 65_537, 1_000_000] {
        upload.write(rest.split_to(size)).await?;
    }
    upload.commit(&Digest::of(&bytes)).await?;
    assert!(whole(&*registry, &here(), &Digest::of(&bytes)).await? == bytes);
    Ok(())
}

async fn nothing_is_seen_before_the_commit(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    upload.write("hello".into()).await?;
    assert_no_blob(&*registry, &here(), &Digest::of(b"hello")).await;
    Ok(())
}

async fn commit_with_wrong_digest_leaves_nothing(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    upload.write("hullo".into()).await?;
    assert_kind(upload.commit(&Digest::of(b"hello")).await, &[ErrorKind::DigestMismatch]);
    assert_no_blob(&*registry, &here(), &Digest::of(b"hello")).await;
    assert_no_blob(&*registry, &here(), &Digest::of(b"hullo")).await;
    Ok(())
}

async fn commit_with_wrong_digest_ends_the_session(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    upload.write("hullo".into()).await?;
    let session = upload.session();
    assert_kind(upload.commit(&Digest::of(b"hello")).await, &[ErrorKind::DigestMismatch]);
    assert_over(&registry, session).await;
    Ok(())
}

async fn commit_of_nothing_is_the_empty_blob(registry: Subject) -> Outcome {
    let committed = started(&registry).await?.commit(&Digest::of(b"")).await?;
    assert_eq!(committed.size, 0);
    assert_eq!(whole(&*registry, &here(), &Digest::of(b"")).await?, "");
    Ok(())
}

async fn commit_of_a_blob_that_is_there_succeeds(registry: Subject) -> Outcome {
    for _ in 0..2 {
        let mut upload = started(&registry).await?;
        upload.write("hello".into()).await?;
        upload.commit(&Digest::of(b"hello")).await?;
    }
    assert_eq!(whole(&*registry, &here(), &Digest::of(b"hello")).await?, "hello");
    Ok(())
}

async fn commit_of_an_upload_of_sha512(registry: Subject) -> Outcome {
    let digest = in_sha512(b"hello").digest;
    let mut upload = registry.start_upload(&here(), Algorithm::Sha512).await?;
    assert_eq!(upload.session().algorithm, Algorithm::Sha512);
    upload.write("hello".into()).await?;
    assert_eq!(upload.commit(&digest).await?.digest, digest);
    assert_eq!(whole(&*registry, &here(), &digest).await?, "hello");
    Ok(())
}

async fn commit_by_another_algorithm_hashes_again(registry: Subject) -> Outcome {
    let digest = in_sha512(b"hello").digest;
    let mut upload = started(&registry).await?;
    upload.write("he".into()).await?;
    upload.write("llo".into()).await?;
    assert_eq!(upload.commit(&digest).await?.digest, digest);
    assert_eq!(whole(&*registry, &here(), &digest).await?, "hello");
    Ok(())
}

async fn commit_by_another_algorithm_is_checked(registry: Subject) -> Outcome {
    let digest = in_sha512(b"hello").digest;
    let mut upload = started(&registry).await?;
    upload.write("hullo".into()).await?;
    assert_kind(upload.commit(&digest).await, &[ErrorKind::DigestMismatch]);
    assert_no_blob(&*registry, &here(), &digest).await;
    Ok(())
}

async fn commit_ends_the_session(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    upload.write("hello".into()).await?;
    let session = upload.session();
    upload.commit(&Digest::of(b"hello")).await?;
    assert_over(&registry, session).await;
    assert_eq!(whole(&*registry, &here(), &Digest::of(b"hello")).await?, "hello");
    Ok(())
}

async fn of_two_who_commit_one_succeeds(registry: Subject) -> Outcome {
    let mut first = started(&registry).await?;
    first.write("hello".into()).await?;
    let second = registry.resume_upload(&here(), first.session()).await?;
    let digest = Digest::of(b"hello");
    let (first, second) = join(first.commit(&digest), second.commit(&digest)).await;
    assert!(first.is_ok() != second.is_ok(), "{first:?}, {second:?}");
    assert_kind(first.and(second), &[ErrorKind::UploadUnknown]);
    assert_eq!(whole(&*registry, &here(), &digest).await?, "hello");
    Ok(())
}

async fn an_empty_chunk_changes_nothing(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    for (chunk, offset) in [("", 0), ("he", 2), ("", 2), ("llo", 5), ("", 5)] {
        upload.write(chunk.into()).await?;
        assert_eq!(upload.offset(), offset);
    }
    upload.commit(&Digest::of(b"hello")).await?;
    assert_eq!(whole(&*registry, &here(), &Digest::of(b"hello")).await?, "hello");
    Ok(())
}

async fn an_upload_outlives_its_handle(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    upload.write("he".into()).await?;
    let session = upload.session();
    drop(upload);
    let mut upload = registry.resume_upload(&here(), session).await?;
    assert_eq!(upload.offset(), 2);
    upload.write("llo".into()).await?;
    upload.commit(&Digest::of(b"hello")).await?;
    assert_eq!(whole(&*registry, &here(), &Digest::of(b"hello")).await?, "hello");
    Ok(())
}

async fn a_resumed_upload_stands_where_the_registry_says(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    let before = upload.session();
    upload.write("he".into()).await?;
    drop(upload);
    assert_eq!(before.offset, 0);
    let mut upload = registry.resume_upload(&here(), before).await?;
    assert_eq!(upload.offset(), 2);
    upload.write("llo".into()).await?;
    upload.commit(&Digest::of(b"hello")).await?;
    Ok(())
}

async fn a_session_survives_being_written_down(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    upload.write("he".into()).await?;
    let session = upload.session();
    drop(upload);
    let read_back = serde_json::to_string(&session).and_then(|written| serde_json::from_str::<UploadSession>(&written));
    let session = match read_back {
        Ok(read_back) if read_back == session => read_back,
        other => panic!("{session:?} became {other:?}"),
    };
    let mut upload = registry.resume_upload(&here(), session).await?;
    upload.write("llo".into()).await?;
    upload.commit(&Digest::of(b"hello")).await?;
    Ok(())
}

/// The write may have arrived or not, or still be arriving: whoever asks where the upload stands and goes on from
/// there gets the blob.
async fn an_interrupted_write_leaves_a_session(registry: Subject) -> Outcome {
    let bytes = noise(1 << 20);
    let mut upload = started(&registry).await?;
    upload.write(bytes.slice(..1_000)).await?;
    let session = upload.session();
    drop(poll_immediate(upload.write(bytes.slice(1_000..700_000))).await);
    drop(upload);
    for _ in 0..100 {
        let mut upload = registry.resume_upload(&here(), session.clone()).await?;
        let offset = usize::try_from(upload.offset()).unwrap_or(usize::MAX);
        assert!((1_000..=bytes.len()).contains(&offset), "stands at {offset}");
        match upload.write(bytes.slice(offset..)).await {
            Ok(()) => {
                upload.commit(&Digest::of(&bytes)).await?;
                assert!(whole(&*registry, &here(), &Digest::of(&bytes)).await? == bytes);
                return Ok(());
            }
            Err(error) if error.kind() == ErrorKind::RangeInvalid => {}
            Err(error) => return Err(error.into()),
        }
    }
    panic!("the upload never stood still")
}

async fn a_second_handle_cannot_write_over_the_first(registry: Subject) -> Outcome {
    let mut first = started(&registry).await?;
    first.write("he".into()).await?;
    let mut second = registry.resume_upload(&here(), first.session()).await?;
    first.write("llo".into()).await?;
    assert_kind(second.write("y!!".into()).await, &[ErrorKind::RangeInvalid]);
    first.commit(&Digest::of(b"hello")).await?;
    assert_eq!(whole(&*registry, &here(), &Digest::of(b"hello")).await?, "hello");
    Ok(())
}

async fn a_cancelled_upload_is_unknown(registry: Subject) -> Outcome {
    let mut upload = started(&registry).await?;
    upload.write("hello".into()).await?;
    let session = upload.session();
    upload.cancel().await?;
    assert_over(&registry, session).await;
    assert_no_blob(&*registry, &here(), &Digest::of(b"hello")).await;
    Ok(())
}

async fn uploads_do_not_mix(registry: Subject) -> Outcome {
    let (mut one, mut two) = (started(&registry).await?, started(&registry).await?);
    assert_ne!(one.session().id, two.session().id);
    one.write("he".into()).await?;
    two.write("good".into()).await?;
    one.write("llo".into()).await?;
    two.write("bye".into()).await?;
    two.commit(&Digest::of(b"goodbye")).await?;
    one.commit(&Digest::of(b"hello")).await?;
    assert_eq!(whole(&*registry, &here(), &Digest::of(b"hello")).await?, "hello");
    assert_eq!(whole(&*registry, &here(), &Digest::of(b"goodbye")).await?, "goodbye");
    Ok(())
}
