//! Taking away from a layout: names first, then content, so that no name is left without what it names.

use async_trait::async_trait;
use gantri_core::{Manage, Result};
use gantri_spec::{Descriptor, Digest, Index, RepositoryName, Selector, Tag};

use super::{Layout, Repository, files};
use crate::{entries, graph};

#[async_trait]
impl Manage for Layout {
    /// The manifest stays, listed without a name if nothing else leads to it.
    async fn delete_tag(&self, repo: &RepositoryName, tag: &Tag) -> Result<()> {
        let tag = tag.clone();
        self.on(repo, move |here| here.delete_tag(&tag)).await
    }

    async fn delete_manifest(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let digest = digest.clone();
        self.on(repo, move |here| here.delete_manifest(&digest)).await
    }

    /// A manifest is no blob, though its file lies among them.
    async fn delete_blob(&self, repo: &RepositoryName, digest: &Digest) -> Result<()> {
        let digest = digest.clone();
        self.on(repo, move |here| here.delete_blob(&digest)).await
    }
}

impl Repository {
    fn delete_tag(&self, tag: &Tag) -> Result<()> {
        self.change_index(|index| {
            let unknown = || self.unknown_manifest(&Selector::Tag(tag.clone()));
            let digest = entries::remove_tag(index, tag).ok_or_else(unknown)?;
            self.tidy(index, &digest)
        })
    }

    fn delete_manifest(&self, digest: &Digest) -> Result<()> {
        let remove = |index: &mut Index| {
            let at = Selector::Digest(digest.clone());
            let found = self.find_manifest(index, &at)?.ok_or_else(|| self.unknown_manifest(&at))?;
            if files::open(&self.dir, digest)?.is_none() {
                return Err(self.unknown_manifest(&at));
            }
            let children = graph::children(&self.dir, self.limits(), &found)?;
            entries::remove(index, digest);
            self.list_orphans(index, &children)
        };
        self.change_index_then(remove, |()| files::remove(&self.dir, digest).map(drop))
    }

    fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let at = Selector::Digest(digest.clone());
        self.change_index(|index| {
            if self.find_manifest(index, &at)?.is_some() || !files::remove(&self.dir, digest)? {
                return Err(self.unknown_blob(digest));
            }
            Ok(())
        })
    }

    /// Takes an entry without a tag away, if something else leads to its manifest.
    pub(super) fn tidy(&self, index: &mut Index, digest: &Digest) -> Result<()> {
        let mut without = index.clone();
        entries::remove_bare(&mut without, digest);
        let Some(entry) = entries::find(index, &Selector::Digest(digest.clone())).filter(|_| without != *index) else {
            return Ok(());
        };
        // An index that was taken before its children may have named this one wrongly: the entry is the better guide then.
        if graph::find(&self.dir, self.limits(), &without, digest)?.is_some_and(|found| entries::same(&found, entry)) {
            *index = without;
        }
        Ok(())
    }

    /// Lists the manifests that an index led to and that nothing leads to any more: they were not to be deleted.
    fn list_orphans(&self, index: &mut Index, children: &[Descriptor]) -> Result<()> {
        for child in children {
            let is_there = files::open(&self.dir, &child.digest)?.is_some();
            if is_there && graph::find(&self.dir, self.limits(), index, &child.digest)?.is_none() {
                let bare = Descriptor::new(child.media_type.clone(), child.digest.clone(), child.size);
                entries::list(index, &bare);
            }
        }
        Ok(())
    }
}
