//! A registry whose reads go wrong as a test tells them to: use it instead of a mock.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{StreamExt, unfold};
use gantri_spec::{ByteRange, Descriptor, Digest, RawManifest, RepositoryName, Selector};

use crate::{BlobReader, ByteStream, Error, ErrorKind, Pull, Result, forward};

/// What goes wrong with one call.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// It fails as this kind, and the registry behind is not asked.
    Fails(ErrorKind),
    /// After so many bytes a blob's stream breaks off with this kind of error. Of anything else nothing breaks.
    Breaks(usize, ErrorKind),
    /// The last bit of the byte at this place of a blob's stream is the other one. Of anything else nothing flips.
    Flips(usize),
}

/// A registry around another whose reads go wrong by a script; writes and listings are handed on.
///
/// ```
/// use gantri_core::testkit::{Fault, Flaky};
/// use gantri_core::{ErrorKind, Memory};
///
/// // The first time anything is read there is nobody home.
/// let registry = Flaky::new(Memory::new(), |_, nth| (nth == 1).then_some(Fault::Fails(ErrorKind::Connect)));
/// assert_eq!(registry.calls(), Vec::<&str>::new());
/// ```
pub struct Flaky<R> {
    inner: R,
    script: Box<Script>,
    calls: Mutex<Vec<&'static str>>,
}

/// The method of [`Pull`] that is called, and that it is the nth call of any of them, from 1 on.
type Script = dyn Fn(&str, usize) -> Option<Fault> + Send + Sync;

impl<R> Flaky<R> {
    /// Asks `script` about each read: by the name of its method, and which read it is, from 1 on.
    pub fn new(inner: R, script: impl Fn(&str, usize) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self { inner, script: Box::new(script), calls: Mutex::default() }
    }

    /// The reads so far, by the names of their methods.
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().clone()
    }

    /// The fault of this call's stream, if it does not fail at once.
    fn called(&self, method: &'static str) -> Result<Option<Fault>> {
        let nth = {
            let mut calls = self.lock();
            calls.push(method);
            calls.len()
        };
        match (self.script)(method, nth) {
            Some(Fault::Fails(kind)) => Err(Error::new(kind, format!("{method}: so the test wants it"))),
            fault => Ok(fault),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<&'static str>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

forward!(Flaky<R>, inner: Push, Discover, Manage);

#[async_trait]
impl<R: Pull> Pull for Flaky<R> {
    async fn resolve_manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<Descriptor> {
        self.called("resolve_manifest")?;
        self.inner.resolve_manifest(repo, at).await
    }

    async fn manifest(&self, repo: &RepositoryName, at: &Selector) -> Result<RawManifest> {
        self.called("manifest")?;
        self.inner.manifest(repo, at).await
    }

    async fn resolve_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<Descriptor> {
        self.called("resolve_blob")?;
        self.inner.resolve_blob(repo, digest).await
    }

    async fn blob(&self, repo: &RepositoryName, digest: &Digest, range: ByteRange) -> Result<BlobReader> {
        let fault = self.called("blob")?;
        let reader = self.inner.blob(repo, digest, range).await?;
        Ok(reader.map_chunks(|chunks| match fault {
            Some(Fault::Breaks(after, kind)) => broken(chunks, after, kind),
            Some(Fault::Flips(at)) => flipped(chunks, at),
            _ => chunks,
        }))
    }

    fn guards_content(&self) -> bool {
        self.inner.guards_content()
    }
}

impl<R: fmt::Debug> fmt::Debug for Flaky<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flaky").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// So many bytes, then an error; also if there are just so many.
fn broken(chunks: ByteStream, after: usize, kind: ErrorKind) -> ByteStream {
    let state = Some((chunks, after));
    unfold(state, move |state| async move {
        let (mut chunks, left) = state?;
        match chunks.next().await {
            Some(Ok(mut chunk)) if left > 0 => {
                chunk.truncate(left);
                let left = left - chunk.len();
                Some((Ok(chunk), Some((chunks, left))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            _ => Some((Err(Error::new(kind, "the stream breaks off: so the test wants it")), None)),
        }
    })
    .boxed()
}

fn flipped(chunks: ByteStream, at: usize) -> ByteStream {
    let mut begins = 0;
    chunks
        .map(move |chunk| {
            chunk.map(|chunk| {
                let here = at.checked_sub(begins).filter(|here| *here < chunk.len());
                begins += chunk.len();
                here.map_or(chunk.clone(), |here| flip(&chunk, here))
            })
        })
        .boxed()
}

fn flip(chunk: &Bytes, at: usize) -> Bytes {
    let mut bytes = BytesMut::from(&chunk[..]);
    bytes[at] ^= 1;
    bytes.freeze()
}
