//! What is answered from an index and the content that lies with it, wherever that is: in a directory, in an archive.
//!
//! One place decides what a tag or digest finds and what is said when it finds nothing; where content lies is said by a
//! [`Shelf`], and what is served is held to its digest.

use std::ops::ControlFlow;
use std::path::Path;

use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use gantri_core::{BlobReader, Error, ErrorKind, Limits, Result};
use gantri_spec::{ByteRange, Descriptor, Digest, Index, MediaType, RawManifest, Selector};

use crate::graph::Deeper;
use crate::stored::Stored;
use crate::{entries, graph, outgoing};

/// Where content lies, by digest.
pub(crate) trait Shelf {
    /// Some content, if it is there. What it holds has not been looked at.
    fn stored(&self, digest: &Digest) -> Result<Option<Stored>>;

    /// Where this is, for messages.
    fn place(&self) -> &Path;
}

/// An index, and the content that it leads to.
#[derive(Clone, Copy)]
pub(crate) struct Held<'a> {
    pub(crate) shelf: &'a dyn Shelf,
    pub(crate) index: &'a Index,
    pub(crate) limits: &'a Limits,
}

impl Held<'_> {
    /// What leads to a manifest, whether or not its file is there.
    pub(crate) fn find(&self, at: &Selector) -> Result<Option<Descriptor>> {
        match (entries::find(self.index, at), at) {
            (Some(entry), _) => Ok(Some(entry.clone())),
            (None, Selector::Digest(digest)) => graph::find(self.shelf, self.limits, self.index, digest),
            (None, Selector::Tag(_)) => Ok(None),
        }
    }

    /// The entry or child that leads to a manifest whose file is there with the size it should have (S1).
    pub(crate) fn resolve(&self, at: &Selector) -> Result<Descriptor> {
        let unknown = || unknown_manifest(self.shelf.place(), at);
        let found = self.find(at)?.ok_or_else(unknown)?;
        let file = self.shelf.stored(&found.digest)?.ok_or_else(unknown)?;
        if file.size != found.size {
            let what = format!("read {}: size {} expected, {} found", file.path.display(), found.size, file.size);
            return Err(Error::new(ErrorKind::SizeMismatch, what));
        }
        Ok(Descriptor::new(found.media_type, found.digest, found.size))
    }

    /// A manifest's bytes, held to its digest.
    pub(crate) fn manifest(&self, at: &Selector) -> Result<RawManifest> {
        let unknown = || unknown_manifest(self.shelf.place(), at);
        let found = self.find(at)?.ok_or_else(unknown)?;
        graph::read(self.shelf, self.limits, &found)?.ok_or_else(unknown)
    }

    /// The manifests that name a subject. No list of them is kept: every manifest is asked for its subject, as many as the
    /// limits allow.
    pub(crate) fn referrers(&self, subject: &Digest, artifact_type: Option<&MediaType>) -> Result<Vec<Descriptor>> {
        let mut found = Vec::new();
        graph::walk(self.shelf, self.limits, self.index, Deeper::Ignore, |manifest| {
            let Some(parsed) = graph::parsed(self.shelf, self.limits, manifest)? else {
                return Ok(ControlFlow::Continue(Vec::new()));
            };
            if parsed.subject().is_some_and(|named| named.digest == *subject) {
                found.push(parsed.referrer(manifest));
            }
            Ok(ControlFlow::Continue(graph::listed(&parsed)))
        })?;
        found.retain(|referrer| artifact_type.is_none_or(|wanted| referrer.artifact_type.as_ref() == Some(wanted)));
        found.sort_unstable_by(|one, other| one.digest.cmp(&other.digest));
        Ok(found)
    }
}

/// Some content, or the error that says it is not there.
pub(crate) fn blob(shelf: &dyn Shelf, digest: &Digest) -> Result<Stored> {
    shelf.stored(digest)?.ok_or_else(|| unknown_blob(shelf.place(), digest))
}

/// A reader of some content, or of a part of it.
pub(crate) fn reader(digest: &Digest, stored: Stored, range: ByteRange) -> Result<BlobReader> {
    let Some(span) = range.resolve(stored.size) else {
        let what = format!("read blob {digest}: range {range:?} of {} bytes", stored.size);
        return Err(Error::new(ErrorKind::RangeInvalid, what));
    };
    Ok(BlobReader::new(describe(digest, &stored), range, outgoing::send(stored, span)))
}

/// Only manifests know the media type of a blob.
pub(crate) fn describe(digest: &Digest, stored: &Stored) -> Descriptor {
    Descriptor::new(MediaType::OCTET_STREAM, digest.clone(), stored.size)
}

pub(crate) fn unknown_manifest(place: &Path, at: &Selector) -> Error {
    Error::new(ErrorKind::ManifestUnknown, format!("{}: manifest {at} unknown", place.display()))
}

pub(crate) fn unknown_blob(place: &Path, digest: &Digest) -> Error {
    Error::new(ErrorKind::BlobUnknown, format!("{}: blob {digest} unknown", place.display()))
}

/// A listing that is made when it is first polled.
pub(crate) fn listing<T: Send + 'static>(
    items: impl Future<Output = Result<Vec<T>>> + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    stream::once(items).map_ok(|items| stream::iter(items.into_iter().map(Ok))).try_flatten().boxed()
}
