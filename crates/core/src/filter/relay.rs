//! One blob out of many sources: opened at the first that has it, and taken up at the next where one breaks off.
//!
//! Nothing is verified here. The parts may come from different places, so it is the reader around them that holds the whole
//! to its digest, as it does with any stream.

use std::sync::Arc;
use std::vec::IntoIter;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::{StreamExt, try_unfold};
use gantri_spec::{ByteRange, Digest, RepositoryName};

use super::fallback::pass_over;
use crate::{BlobReader, ByteStream, Error, Pull, Result, Seams};

/// A reader of the blob at the first mirror that has it, else at the origin.
pub(super) async fn blob(
    mirrors: Vec<Arc<dyn Pull>>,
    origin: Arc<dyn Pull>,
    repo: &RepositoryName,
    digest: &Digest,
    range: ByteRange,
) -> Result<BlobReader> {
    let (repo, digest) = (repo.clone(), digest.clone());
    let mut sources = Sources { mirrors: mirrors.into_iter(), origin, at_origin: false, repo, digest };
    let reader = sources.open(range).await?;
    let descriptor = reader.descriptor().clone();
    let (size, reached) = (descriptor.size, range.start());
    let seams = reader.seams().clone();
    let relay = Relay { sources, range, size, reached, raw: reader.into_unverified(), seams: seams.clone() };
    let chunks = try_unfold(relay, |mut relay| async move { Ok(relay.next().await?.map(|chunk| (chunk, relay))) });
    Ok(BlobReader::new(descriptor, range, chunks.boxed()).with_seams(seams))
}

/// Where else the blob may be had.
struct Sources {
    /// Those that were not asked yet.
    mirrors: IntoIter<Arc<dyn Pull>>,
    origin: Arc<dyn Pull>,
    at_origin: bool,
    repo: RepositoryName,
    digest: Digest,
}

impl Sources {
    async fn open(&mut self, range: ByteRange) -> Result<BlobReader> {
        for mirror in self.mirrors.by_ref() {
            match mirror.blob(&self.repo, &self.digest, range).await {
                Ok(reader) => return Ok(reader),
                Err(error) => pass_over(error)?,
            }
        }
        self.at_origin = true;
        self.origin.blob(&self.repo, &self.digest, range).await
    }
}

struct Relay {
    sources: Sources,
    /// What was asked for in the beginning.
    range: ByteRange,
    /// Bytes of the whole blob, by the word of the first source.
    size: u64,
    /// The place in the blob of the next byte to come.
    reached: u64,
    raw: ByteStream,
    seams: Seams,
}

impl Relay {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            match self.raw.try_next().await {
                Ok(Some(chunk)) => {
                    self.reached += chunk.len() as u64;
                    return Ok(Some(chunk));
                }
                Ok(None) => return Ok(None),
                Err(error) => self.go_on_elsewhere(error).await?,
            }
        }
    }

    /// Takes the blob up at the next source; `error` if there is none, or if no byte is missing.
    async fn go_on_elsewhere(&mut self, error: Error) -> Result<()> {
        let rest = rest(self.range, self.size, self.reached);
        let Some(rest) = rest.filter(|_| !self.sources.at_origin) else { return Err(error) };
        pass_over(error)?;
        tracing::debug!(digest = %self.sources.digest, at = self.reached, "the blob goes on elsewhere");
        self.raw = self.sources.open(rest).await?.into_unverified();
        self.seams.add();
        Ok(())
    }
}

/// What is left of a range of which the bytes before `reached` have come; `None` if nothing is.
fn rest(range: ByteRange, size: u64, reached: u64) -> Option<ByteRange> {
    if reached >= range.resolve(size)?.end {
        return None;
    }
    Some(match range {
        ByteRange::Full if reached == 0 => range,
        ByteRange::Full | ByteRange::From(_) => ByteRange::From(reached),
        ByteRange::Span { end, .. } => ByteRange::Span { start: reached, end },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_range_in_ten_bytes() {
        let span = |start, end| ByteRange::Span { start, end };
        let cases = [
            (ByteRange::Full, 0, Some(ByteRange::Full)),
            (ByteRange::Full, 5, Some(ByteRange::From(5))),
            (ByteRange::From(3), 3, Some(ByteRange::From(3))),
            (ByteRange::From(3), 5, Some(ByteRange::From(5))),
            (span(3, 9), 3, Some(span(3, 9))),
            (span(3, 9), 8, Some(span(8, 9))),
            (span(3, 9), 9, None),
            (span(3, 99), 8, Some(span(8, 99))),
            (span(3, 99), 10, None),
            (ByteRange::Full, 10, None),
            (ByteRange::From(3), 10, None),
            (ByteRange::From(30), 30, None),
        ];
        for (range, reached, left) in cases {
            assert_eq!(rest(range, 10, reached), left, "{range:?} from {reached}");
        }
    }
}
