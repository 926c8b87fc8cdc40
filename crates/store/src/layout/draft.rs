//! An image layout that grows where nobody sees it.
//!
//! What is put into a layout that is there already stays there, checked, whatever becomes of the rest. A new one is
//! another matter: whoever fails to fetch an image into a new directory wants no directory. So it is filled in a directory
//! inside its own, which needs no rights elsewhere and works on a mount point, and comes to its place at the end, content
//! before names. The directory inside is locked while its process lives; those of dead processes are swept away.

use std::fs;
use std::path::{Path, PathBuf};

use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::{Digest, Selector};

use super::blocking::blocking;
use super::dir::Dir;
use super::scratch::{BLOBS, PREFIX, random_id};
use super::{Layout, Repository, Shape, entries, files, index};

/// An image layout to be filled: the one that is there, or a new one that nobody sees before it is published.
///
/// Dropped before that, a new one leaves nothing behind, not even the directories made for it.
#[derive(Debug)]
pub struct Draft {
    layout: Layout,
    /// `None` if the layout was there before.
    growing: Option<Growing>,
}

/// A new layout on its way.
#[derive(Debug)]
struct Growing {
    home: Dir,
    inside: PathBuf,
    /// Directories that were not there, the outermost first.
    made: Vec<PathBuf>,
}

impl Layout {
    /// Opens the image layout in `dir`, or begins a new one there, which comes to be with [`Draft::publish`].
    ///
    /// # Errors
    /// `Conflict` if `dir` holds something else; `Unsupported` if it is an image layout of an unknown version; `Io`.
    ///
    /// # Cancel safety
    /// What was begun is finished, and dropped.
    pub async fn draft(dir: impl AsRef<Path>) -> Result<Draft> {
        let path = dir.as_ref().to_owned();
        blocking(move || Draft::begin(&path)).await
    }
}

impl Draft {
    /// The layout to fill.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Where files may be written that are moved into it.
    pub fn scratch_dir(&self) -> &Path {
        self.growing.as_ref().map_or_else(|| self.layout.0.root.path(), |growing| &growing.inside)
    }

    /// Makes what is in it visible under its names. If somebody else made a layout there meanwhile, adds to that.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// What was begun is finished.
    pub async fn publish(self) -> Result<()> {
        blocking(move || match &self.growing {
            Some(growing) => growing.publish(&self.layout),
            None => Ok(()),
        })
        .await
    }

    fn begin(path: &Path) -> Result<Self> {
        let missing = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists());
        let mut made: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        made.reverse();
        let mut growing = Growing { home: Dir::make_root(path)?, inside: PathBuf::new(), made };
        if index::is_layout(&growing.home)? {
            growing.made.clear();
            return Ok(Self { layout: Layout::new(growing.home.clone(), Shape::Single), growing: None });
        }
        refuse_others(&growing.home)?;
        let name = format!("{PREFIX}{}", random_id()?);
        growing.inside = path.join(&name);
        let inside = growing.home.make_dir(&name)?;
        inside.try_lock()?;
        // Where it will be: nobody is to learn of the way there.
        let inside = inside.shown_as(path);
        index::establish(&inside)?;
        Ok(Self { layout: Layout::new(inside, Shape::Single), growing: Some(growing) })
    }
}

impl Growing {
    fn publish(&self, draft: &Layout) -> Result<()> {
        let inside = &draft.0.root;
        index::establish(&self.home)?;
        for digest in digests(inside)? {
            files::link(inside, &self.home, &digest)?;
        }
        let new = index::read(inside, &draft.0.limits)?;
        let here = Repository { dir: self.home.clone(), layout: Layout::new(self.home.clone(), Shape::Single) };
        here.change_index(|index| {
            for tag in entries::tags(&new) {
                if let Some(manifest) = entries::find(&new, &Selector::Tag(tag.clone())) {
                    here.enter(index, &entries::without_tag(manifest), &[tag])?;
                }
            }
            new.manifests.iter().try_for_each(|manifest| here.enter(index, &entries::without_tag(manifest), &[]))
        })
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        // A write that has begun may still add a name while the others are taken away.
        let gone = self.inside.as_os_str().is_empty()
            || (0..REMOVALS).any(|_| fs::remove_dir_all(&self.inside).is_ok() || !self.inside.exists());
        if !gone {
            tracing::warn!(path = %self.inside.display(), "an unfinished layout stays behind until the next one");
        }
        for dir in self.made.iter().rev() {
            // Only if they are empty: what was published, or what others put there, keeps them.
            if fs::remove_dir(dir).is_err() {
                break;
            }
        }
    }
}

/// A directory that holds something else does not become a layout by mistake. What dead processes left is swept away.
fn refuse_others(home: &Dir) -> Result<()> {
    for name in home.names()? {
        if !name.starts_with(PREFIX) {
            let what = format!("target {}: it is not empty, and not an image layout", home.path().display());
            let error = Error::new(ErrorKind::Conflict, what);
            return Err(error.with_hint("choose an image layout, or a directory that does not exist yet or is empty"));
        }
        if let Some(left) = home.dir(&name)?
            && left.try_lock()?
            && let Err(error) = fs::remove_dir_all(home.path_of(&name))
        {
            tracing::debug!(%error, "what a dead process left stays behind");
        }
    }
    Ok(())
}

/// All blobs of a layout.
fn digests(root: &Dir) -> Result<Vec<Digest>> {
    let Some(blobs) = root.dir(BLOBS)? else { return Ok(Vec::new()) };
    let mut digests = Vec::new();
    for algorithm in blobs.dir_names()? {
        let names = blobs.dir(&algorithm)?.map(|dir| dir.names()).transpose()?.unwrap_or_default();
        digests.extend(names.into_iter().filter_map(|name| format!("{algorithm}:{name}").parse::<Digest>().ok()));
    }
    Ok(digests)
}

const REMOVALS: u32 = 100;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gantri_core::{BlobBody, Discover, Pull, Push};
    use gantri_spec::{Descriptor, ImageManifest, MediaType, RepositoryName, Tag};

    use super::*;

    fn repo() -> RepositoryName {
        "any".parse().unwrap()
    }

    /// Puts an image whose config is `text` under the tag.
    async fn fill(layout: &Layout, text: &'static str, tag: &str) {
        let config = Descriptor::of(MediaType::OCI_CONFIG, text.as_bytes());
        layout.put_blob(&repo(), &config, BlobBody::bytes(Bytes::from(text))).await.unwrap();
        let manifest = ImageManifest::new(config, Vec::new()).to_raw();
        layout.put_manifest(&repo(), &manifest, &[tag.parse().unwrap()]).await.unwrap();
    }

    async fn tags(layout: &Layout) -> Vec<String> {
        use futures_util::TryStreamExt;
        layout.tags(&repo(), None).map_ok(|tag: Tag| tag.to_string()).try_collect().await.unwrap()
    }

    #[tokio::test]
    async fn a_new_layout_is_there_when_it_is_published_and_not_before() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("a/b");
        let draft = Layout::draft(&dir).await.unwrap();
        fill(draft.layout(), "one", "v1").await;
        assert!(Layout::open(&dir).await.is_err());
        draft.publish().await.unwrap();
        let layout = Layout::open(&dir).await.unwrap();
        assert_eq!(tags(&layout).await, ["v1"]);
        layout.manifest(&repo(), &Selector::Tag("v1".parse().unwrap())).await.unwrap();
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 3, "blobs, index.json and oci-layout");
    }

    #[tokio::test]
    async fn one_that_is_dropped_leaves_not_even_its_directories() {
        let place = tempfile::tempdir().unwrap();
        let draft = Layout::draft(place.path().join("a/b")).await.unwrap();
        fill(draft.layout(), "one", "v1").await;
        drop(draft);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn two_drafts_of_one_layout_end_in_one_layout() {
        let place = tempfile::tempdir().unwrap();
        let dir = place.path().join("new");
        let [first, second] = [Layout::draft(&dir).await.unwrap(), Layout::draft(&dir).await.unwrap()];
        fill(first.layout(), "one", "v1").await;
        fill(second.layout(), "two", "v2").await;
        fill(second.layout(), "two", "v1").await;
        first.publish().await.unwrap();
        second.publish().await.unwrap();
        let layout = Layout::open(&dir).await.unwrap();
        assert_eq!(tags(&layout).await, ["v1", "v2"]);
        let [v1, v2] = ["v1", "v2"].map(|tag| Selector::Tag(tag.parse().unwrap()));
        let digest = layout.resolve_manifest(&repo(), &v1).await.unwrap().digest;
        assert_eq!(digest, layout.resolve_manifest(&repo(), &v2).await.unwrap().digest, "the last one has the tag");
    }

    #[tokio::test]
    async fn a_layout_that_is_there_is_filled_in_place() {
        let place = tempfile::tempdir().unwrap();
        fill(&Layout::create(place.path()).await.unwrap(), "one", "v1").await;
        let draft = Layout::draft(place.path()).await.unwrap();
        fill(draft.layout(), "two", "v2").await;
        drop(draft);
        assert_eq!(tags(&Layout::open(place.path()).await.unwrap()).await, ["v1", "v2"]);
    }

    #[tokio::test]
    async fn something_else_is_never_made_a_layout() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("mine"), "x").unwrap();
        let error = Layout::draft(place.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    /// (S1) The lock of a dead process is free.
    #[tokio::test]
    async fn what_a_dead_process_left_is_swept_away_and_what_a_living_one_makes_is_not() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join(".gantri-dead")).unwrap();
        let living = Layout::draft(place.path()).await.unwrap();
        assert!(!place.path().join(".gantri-dead").exists());
        let other = Layout::draft(place.path()).await.unwrap();
        fill(living.layout(), "one", "v1").await;
        living.publish().await.unwrap();
        drop(other);
        assert_eq!(tags(&Layout::open(place.path()).await.unwrap()).await, ["v1"]);
    }
}
