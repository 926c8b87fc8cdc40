//! Rules of reading a part of a blob: ranges are half-open, cut at the end, and make sense only where there is a byte.

use gantri_spec::{ByteRange, Digest};

use super::super::{NO_BLOB, assert_kind};
use super::app;
use crate::ErrorKind;
use crate::testkit::{Content, Outcome, Subject};

cases! { $ __pull_range_cases in ranges needs [];
    a_range_from_an_offset_runs_to_the_end,
    a_range_between_offsets_is_half_open,
    a_range_past_the_end_is_cut_there,
    a_range_of_the_whole_blob_is_the_whole_blob,
    a_range_that_starts_at_the_end_is_invalid,
    a_range_that_starts_past_the_end_is_invalid,
    an_empty_range_is_invalid,
    an_empty_blob_has_no_range,
    an_empty_blob_from_zero_on_is_empty,
    a_range_of_an_unknown_blob_is_blob_unknown,
    a_part_tells_of_the_whole,
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
    for range in [ByteRange::From(1), ByteRange::Span { start: 0, end: 1 }] {
        let refusal = registry.blob(content.here(), &content.digest("empty"), range).await;
        assert_kind(refusal, &[ErrorKind::RangeInvalid]);
    }
    Ok(())
}

async fn an_empty_blob_from_zero_on_is_empty(registry: Subject) -> Outcome {
    let content = Content::new("suite/app").blob("empty", "");
    registry.hold(&content).await?;
    let reader = registry.blob(content.here(), &content.digest("empty"), ByteRange::From(0)).await?;
    assert_eq!(reader.bytes(100).await?, "");
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
