//! Listing what an archive holds.

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use gantri_core::{Discover, Error, ErrorKind, Result};
use gantri_spec::{Descriptor, Digest, MediaType, RepositoryName, Tag};

use super::Archive;
use crate::blocking::blocking;
use crate::{entries, reading};

impl Discover for Archive {
    fn repositories(&self, _: Option<&RepositoryName>) -> BoxStream<'static, Result<RepositoryName>> {
        let what = format!("list {}: an archive has one repository", self.0.contents.source.path.display());
        stream::iter([Err(Error::new(ErrorKind::Unsupported, what))]).boxed()
    }

    fn tags(&self, _: &RepositoryName, after: Option<&Tag>) -> BoxStream<'static, Result<Tag>> {
        let tags = entries::tags(&self.0.index);
        let behind: Vec<Tag> = tags.into_iter().filter(|tag| after.is_none_or(|after| tag > after)).collect();
        stream::iter(behind.into_iter().map(Ok)).boxed()
    }

    fn referrers(
        &self,
        _: &RepositoryName,
        subject: &Digest,
        artifact_type: Option<&MediaType>,
    ) -> BoxStream<'static, Result<Descriptor>> {
        let (archive, subject, artifact_type) = (self.clone(), subject.clone(), artifact_type.cloned());
        reading::listing(blocking(move || archive.held().referrers(&subject, artifact_type.as_ref())))
    }
}
