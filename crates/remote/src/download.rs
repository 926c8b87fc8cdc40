//! The body of a blob, unbroken: when a connection breaks off, the rest is asked for by range, from the registry's own URL
//! (H7), and joined on under the verifier, which sees one stream (H2).
//!
//! What may be joined is strict: the very range that was asked for (H4), or the whole blob, of which the part that is here
//! already is thrown away (H3). The digest is judged above.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::try_unfold;
use gantri_core::{ByteStream, Error, ErrorKind, Pull, Result, Retry, Seams};
use gantri_spec::wire::ContentRange;
use gantri_spec::{ByteRange, Digest, RepositoryName};
use http::StatusCode;
use http::header::CONTENT_RANGE;
use tokio::time::timeout;

use crate::remote::Remote;
use crate::transport::{Attempt, Response};

/// How long the end of a body is waited for once every byte is here (H11).
const END_GRACE: Duration = Duration::from_millis(500);

/// A body that brings one in so many bytes of its blob has made progress: a registry that gives a byte a request would else be asked
/// as often as the blob has bytes.
const PROGRESS: u64 = 256;

/// This many new bytes are progress whatever the blob's size.
const PROGRESS_BYTES: u64 = 1 << 20;

/// A blob on its way.
pub(crate) struct Download {
    remote: Remote,
    repo: RepositoryName,
    digest: Digest,
    /// Bytes of the whole blob, as the registry announced them.
    size: u64,
    /// The bytes that are still to come.
    left: Range<u64>,
    body: Option<Part>,
    /// Bytes received in all, thrown-away ones included.
    received: u64,
    /// Breaks in a row that brought next to nothing new.
    stalls: u32,
    /// What asking for the rest has been through since then: breaks and tries are counted together (H25).
    attempt: Attempt,
    mode: Mode,
    seams: Seams,
}

/// One body, and what to make of it.
struct Part {
    chunks: ByteStream,
    /// Bytes at its beginning that are here already.
    skip: u64,
    /// Whether it may go on past what is wanted.
    longer: bool,
    /// New bytes that it has brought.
    gained: u64,
}

/// How the rest is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mode {
    /// By range.
    Ranges,
    /// As a whole, because the registry's ranges are not to be trusted; there is no third way.
    Whole,
}

/// What an answer holds.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Content {
    /// The whole blob, of this size if it is known.
    Whole(Option<u64>),
    /// A part, as the registry says.
    Part(ContentRange),
    /// A part, but nobody knows which.
    Unclear,
}

impl Download {
    /// Asks for the blob, or for a part of it.
    ///
    /// # Errors
    /// `BlobUnknown`; `RangeInvalid` if the range starts past the end; whatever the transport says.
    pub(crate) async fn open(remote: Remote, repo: RepositoryName, digest: Digest, range: ByteRange) -> Result<Self> {
        let asked = range.header();
        let partial = asked.is_some();
        let mut response = remote.blob_response(&repo, &digest, asked).await?;
        let mut mode = Mode::Ranges;
        let mut content = Content::of(&response);
        if !content.answers(range, partial) {
            // H4: what came is not what was asked for. Once, without a range, there is nothing to get wrong.
            (response, mode) = (remote.blob_response(&repo, &digest, None).await?, Mode::Whole);
            content = Content::of(&response);
        }
        let size = match content.size() {
            Some(size) => size,
            None => remote.resolve_blob(&repo, &digest).await?.size,
        };
        let left = range.resolve(size).ok_or_else(|| {
            let what = format!("{}: range past its end, at {size}", remote.blob_name(&repo, &digest));
            Error::new(ErrorKind::RangeInvalid, what)
        })?;
        let mut download = Self {
            remote,
            repo,
            digest,
            size,
            left,
            body: None,
            received: 0,
            stalls: 0,
            attempt: Attempt::first(),
            mode,
            seams: Seams::default(),
        };
        download.take_up(response, &content)?;
        Ok(download)
    }

    /// Bytes of the whole blob.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Where it is told of whether the bytes had to be joined of several answers (H6).
    pub(crate) fn seams(&self) -> &Seams {
        &self.seams
    }

    /// The bytes that were asked for, and an error if there are more or they can't be had.
    pub(crate) fn into_stream(self) -> ByteStream {
        try_unfold(Some(self), |download| async move {
            let Some(mut download) = download else { return Ok(None) };
            match download.next().await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, Some(download)))),
                Err(error) => Err(error.during(download.remote.blob_name(&download.repo, &download.digest))),
            }
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            if self.left.is_empty() {
                return self.end().await.map(|()| None);
            }
            let Some(part) = &mut self.body else {
                self.resume().await?;
                continue;
            };
            match part.chunks.next().await {
                Some(Ok(chunk)) => {
                    if let Some(new) = self.accept(chunk)? {
                        return Ok(Some(new));
                    }
                }
                Some(Err(error)) => self.broke_off(error).await?,
                None => {
                    let what = format!("body: ended at {} of {}", self.left.start, self.left.end);
                    self.broke_off(Error::new(ErrorKind::SizeMismatch, what).with_retry(Retry::Backoff)).await?;
                }
            }
        }
    }

    /// What of a chunk is new and wanted.
    fn accept(&mut self, mut chunk: Bytes) -> Result<Option<Bytes>> {
        let Some(part) = &mut self.body else { return Ok(None) };
        self.received += chunk.len() as u64;
        if self.received > self.size.saturating_mul(2) {
            // H3: a registry that always starts from the beginning is not downloaded from for ever.
            let what = format!("body: {} bytes received for a blob of {}", self.received, self.size);
            return Err(Error::new(ErrorKind::SizeMismatch, what));
        }
        let known = usize::try_from(part.skip).unwrap_or(usize::MAX).min(chunk.len());
        part.skip -= known as u64;
        let mut new = chunk.split_off(known);
        let wanted = usize::try_from(self.left.end - self.left.start).unwrap_or(usize::MAX);
        if new.len() > wanted {
            if !part.longer {
                return Err(self.too_long());
            }
            new.truncate(wanted);
        }
        if new.is_empty() {
            return Ok(None);
        }
        part.gained += new.len() as u64;
        self.left.start += new.len() as u64;
        Ok(Some(new))
    }

    /// Every byte is here: is there one too many? Not hearing of the end does no harm (H11).
    async fn end(&mut self) -> Result<()> {
        let Some(mut part) = self.body.take().filter(|part| !part.longer) else { return Ok(()) };
        while let Ok(Some(Ok(chunk))) = timeout(END_GRACE, part.chunks.next()).await {
            if !chunk.is_empty() {
                return Err(self.too_long());
            }
        }
        Ok(())
    }

    /// Counts a break, and waits if it was not the first in a row.
    async fn broke_off(&mut self, error: Error) -> Result<()> {
        let progress = (self.size / PROGRESS).clamp(1, PROGRESS_BYTES);
        let fruitful = self.body.take().is_some_and(|part| part.gained >= progress);
        // A body that trickles makes progress too, for ever; only one that broke may start the count anew.
        if fruitful && error.kind() != ErrorKind::Timeout {
            (self.stalls, self.attempt) = (0, Attempt::first());
        }
        self.stalls += 1;
        self.attempt.broke_off();
        if self.stalls > self.remote.limits().resume_tries || error.kind() == ErrorKind::LimitExceeded {
            return Err(error);
        }
        tracing::debug!(digest = %self.digest, at = self.left.start, stalls = self.stalls, %error, "resuming");
        if self.stalls > 1 {
            self.remote.transport().rest(self.stalls - 1).await;
        }
        Ok(())
    }

    /// Asks for what is left.
    async fn resume(&mut self) -> Result<()> {
        let range = match self.mode {
            Mode::Whole => None,
            Mode::Ranges if self.left.end == self.size => ByteRange::From(self.left.start).header(),
            Mode::Ranges => ByteRange::Span { start: self.left.start, end: self.left.end }.header(),
        };
        let partial = range.is_some();
        match self.remote.blob_response_within(&self.repo, &self.digest, range, &mut self.attempt).await {
            Ok(response) => {
                let content = Content::of(&response);
                let asked = ByteRange::Span { start: self.left.start, end: self.left.end };
                if content.answers(asked, partial) && content.size().is_none_or(|size| size == self.size) {
                    return self.take_up(response, &content);
                }
                self.distrust_ranges("the registry answers with another range, or another size")
            }
            // H5: what was there a moment ago can't be out of range.
            Err(error) if error.kind() == ErrorKind::RangeInvalid => self.distrust_ranges("range refused"),
            Err(error) => Err(error),
        }
    }

    fn distrust_ranges(&mut self, why: &str) -> Result<()> {
        if self.mode == Mode::Whole {
            return Err(Error::new(
                ErrorKind::Protocol,
                format!("body: can't be resumed at {}: {why}", self.left.start),
            ));
        }
        self.mode = Mode::Whole;
        Ok(())
    }

    fn take_up(&mut self, response: Response, content: &Content) -> Result<()> {
        let (skip, longer) = match content {
            Content::Whole(_) => (self.left.start, self.left.end < self.size),
            Content::Part(range) if range.start == self.left.start && range.end == self.left.end => (0, false),
            Content::Part(_) | Content::Unclear => return self.distrust_ranges("another range"),
        };
        if self.received > 0 {
            self.seams.add();
        }
        self.body = Some(Part { chunks: response.body, skip, longer, gained: 0 });
        Ok(())
    }

    fn too_long(&self) -> Error {
        Error::new(ErrorKind::SizeMismatch, format!("body: {} bytes expected, more received", self.left.end))
    }
}

impl Content {
    fn of(response: &Response) -> Self {
        if response.head.status != StatusCode::PARTIAL_CONTENT {
            return Self::Whole(response.length());
        }
        response.text(&CONTENT_RANGE).and_then(|text| text.parse().ok()).map_or(Self::Unclear, Self::Part)
    }

    fn size(&self) -> Option<u64> {
        match self {
            Self::Whole(size) => *size,
            Self::Part(range) => range.total,
            Self::Unclear => None,
        }
    }

    /// Whether this is what was asked for, by range if `partial`, or what it can be cut from (H4).
    fn answers(&self, asked: ByteRange, partial: bool) -> bool {
        match self {
            Self::Whole(_) => true,
            Self::Unclear => false,
            Self::Part(range) => {
                let end_fits = match (asked, range.total) {
                    (_, Some(total)) => asked.resolve(total).is_some_and(|wanted| wanted.end == range.end),
                    (ByteRange::Span { end, .. }, None) => range.end == end,
                    (_, None) => true,
                };
                partial && range.start == asked.start() && end_fits
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// H4: which answers to a range may be used.
    #[test]
    fn only_the_range_that_was_asked_for_is_an_answer() {
        let span = ByteRange::Span { start: 10, end: 20 };
        let from = ByteRange::From(10);
        let part = |start, end, total| Content::Part(ContentRange { start, end, total });
        let cases = [
            ("the very range", span, part(10, 20, Some(100)), true),
            ("total not said", span, part(10, 20, None), true),
            ("cut at the end", span, part(10, 15, Some(15)), true),
            ("another start", span, part(11, 20, Some(100)), false),
            ("from the beginning", span, part(0, 20, Some(100)), false),
            ("shorter", span, part(10, 19, Some(100)), false),
            ("longer", span, part(10, 21, Some(100)), false),
            ("multipart, or no content-range", span, Content::Unclear, false),
            ("open end", from, part(10, 100, Some(100)), true),
            ("open end, shorter", from, part(10, 99, Some(100)), false),
            ("the whole", span, Content::Whole(Some(100)), true),
        ];
        for (name, asked, content, expected) in cases {
            assert_eq!(content.answers(asked, true), expected, "{name}");
        }
        assert!(!part(0, 100, Some(100)).answers(ByteRange::Full, false), "a part that nobody asked for");
    }
}
