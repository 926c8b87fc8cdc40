//! The one place where a stream is held to the name of what it carries.

use bytes::Bytes;
use futures_util::stream::{StreamExt, try_unfold};
use gantri_spec::{Descriptor, Hasher};

use super::ByteStream;
use crate::error::{Error, ErrorKind, Result};

/// The same chunks, failing as soon as there are more bytes than `descriptor.size`, and at the end if there are fewer or
/// if their digest is not `descriptor.digest`. The chunk that makes it whole is given only when the digest is right, so
/// that wrong bytes are never all given: who passes them on, breaks off.
///
/// # Errors
/// The stream yields `SizeMismatch` or `DigestMismatch`; `Unsupported` at once if the digest's algorithm can't be computed
/// (M3: an algorithm that we cannot verify is an error, never a pass).
pub fn verify(descriptor: &Descriptor, raw: ByteStream) -> ByteStream {
    let hash = descriptor.digest.hasher().map_or(Hash::Unknown, |hasher| Hash::Here(Box::new(hasher)));
    Verifier::new(raw, hash, descriptor, 0).into_stream()
}

/// The same chunks, held to the size alone: of bytes that somebody else holds to their digest, read from `offset` on.
pub(super) fn measure(descriptor: &Descriptor, offset: u64, raw: ByteStream) -> ByteStream {
    Verifier::new(raw, Hash::Elsewhere, descriptor, offset).into_stream()
}

struct Verifier {
    raw: ByteStream,
    hash: Hash,
    descriptor: Descriptor,
    seen: u64,
    /// Whether all is said: the raw stream has ended and was judged.
    done: bool,
}

/// Who holds the bytes to their digest.
enum Hash {
    Here(Box<Hasher>),
    Elsewhere,
    /// Nobody can: the algorithm is not known.
    Unknown,
}

impl Verifier {
    fn new(raw: ByteStream, hash: Hash, descriptor: &Descriptor, seen: u64) -> Self {
        Self { raw, hash, descriptor: descriptor.clone(), seen, done: false }
    }

    fn into_stream(self) -> ByteStream {
        try_unfold(self, |mut state| async move { Ok(state.next().await?.map(|chunk| (chunk, state))) }).boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>> {
        if matches!(self.hash, Hash::Unknown) {
            return Err(self.unsupported());
        }
        if self.done {
            return Ok(None);
        }
        let mut last = None;
        while let Some(chunk) = self.raw.next().await.transpose()? {
            self.take(&chunk)?;
            if self.seen < self.descriptor.size {
                return Ok(Some(chunk));
            }
            // Behind the last byte nothing but emptiness may come.
            last = last.or(Some(chunk));
        }
        self.judge()?;
        self.done = true;
        Ok(last)
    }

    fn take(&mut self, chunk: &Bytes) -> Result<()> {
        self.seen += chunk.len() as u64;
        if self.seen > self.descriptor.size {
            return Err(self.wrong_size("at least "));
        }
        if let Hash::Here(hasher) = &mut self.hash {
            hasher.update(chunk);
        }
        Ok(())
    }

    fn judge(&mut self) -> Result<()> {
        if self.seen < self.descriptor.size {
            return Err(self.wrong_size(""));
        }
        let Hash::Here(hasher) = std::mem::replace(&mut self.hash, Hash::Elsewhere) else { return Ok(()) };
        let actual = hasher.finish();
        if actual == self.descriptor.digest {
            return Ok(());
        }
        let what = format!("digest {} expected, {actual} received", self.descriptor.digest);
        Err(Error::new(ErrorKind::DigestMismatch, what))
    }

    fn wrong_size(&self, at_least: &str) -> Error {
        let Descriptor { digest, size, .. } = &self.descriptor;
        Error::new(
            ErrorKind::SizeMismatch,
            format!("digest {digest}: size {size} expected, {at_least}{} received", self.seen),
        )
    }

    fn unsupported(&self) -> Error {
        let digest = &self.descriptor.digest;
        Error::new(ErrorKind::Unsupported, format!("digest {digest}: this algorithm can't be verified"))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::TryStreamExt;
    use futures_util::stream::iter;
    use gantri_spec::{Digest, MediaType};

    use super::*;

    async fn outcome(digest: Digest, size: u64, chunks: &'static [&'static str]) -> Result<String, ErrorKind> {
        let descriptor = Descriptor::new(MediaType::OCTET_STREAM, digest, size);
        let raw = iter(chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes())))).boxed();
        let chunks: Result<Vec<Bytes>> = verify(&descriptor, raw).try_collect().await;
        chunks.map(|chunks| String::from_utf8(chunks.concat()).unwrap()).map_err(|error| error.kind())
    }

    /// Whoever passes a blob on chunk by chunk has not passed on all of it when it turns out to be wrong.
    #[tokio::test]
    async fn the_last_byte_is_given_only_if_all_were_right() {
        let cases: [(&[&'static str], &str); 4] = [
            (&["he", "llo"], "hello"),
            (&["he", "ll", "o", ""], "hello"),
            (&["he", "llx"], "he"),
            (&["he", "ll", "x", ""], "hell"),
        ];
        for (chunks, given) in cases {
            let descriptor = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
            let raw = iter(chunks.to_vec()).map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).boxed();
            let taken = verify(&descriptor, raw).take_while(|chunk| std::future::ready(chunk.is_ok()));
            let taken: Vec<Bytes> = taken.try_collect().await.unwrap();
            assert_eq!(taken.concat(), given.as_bytes(), "{chunks:?}");
        }
    }

    #[tokio::test]
    async fn a_stream_is_held_to_its_size_and_digest() {
        let good = || Digest::of(b"hello");
        let other: Digest = "blake3:00".parse().unwrap();
        assert_eq!(outcome(good(), 5, &["he", "", "llo"]).await, Ok("hello".into()));
        assert_eq!(outcome(Digest::of(b""), 0, &[]).await, Ok(String::new()));
        assert_eq!(outcome(good(), 5, &["hell"]).await, Err(ErrorKind::SizeMismatch));
        assert_eq!(outcome(good(), 5, &["hello", "!"]).await, Err(ErrorKind::SizeMismatch));
        assert_eq!(outcome(good(), 5, &["hullo"]).await, Err(ErrorKind::DigestMismatch));
        assert_eq!(outcome(other, 5, &["hello"]).await, Err(ErrorKind::Unsupported));
    }
}
