//! An image layout that grows where nobody sees it.
//!
//! What is put into a layout that is there already stays there, checked, whatever becomes of the rest. A new one is
//! another matter: whoever fails to fetch an image into a new directory wants no directory. So it is filled in a directory
//! inside its own, which needs no rights elsewhere and works on a mount point, and comes to its place at the end, content
//! before names. The directory inside is locked while its process lives. What a dead process left in one, and what was
//! given up on the way there, the next draft takes for its own and goes on with; its names it forgets.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::{fs, io};

use gantri_core::{Error, ErrorKind, Limits, Result};
use gantri_spec::{Index, Selector};

use super::index::INDEX;
use super::lock::NAME as LOCK;
use super::scratch::{BLOBS, PREFIX, random_id};
use super::upload::UPLOADS;
use super::{Layout, Repository, Shape, files, index, partial};
use crate::blocking::blocking;
use crate::dir::{Dir, io_error, is_overtaken};
use crate::entries;

/// An image layout to be filled: the one that is there, or a new one that nobody sees before it is published.
///
/// Dropped before that, a new one leaves nothing behind, not even the directories made for it - but where its content was
/// cut short on the way: a mebibyte or more of that stays out of sight for a day, for the next draft to go on with.
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
    traces: Traces,
}

/// What is taken away again on drop.
#[derive(Debug, Default)]
struct Traces {
    inside: PathBuf,
    /// Whether the inside stays, for the next draft.
    kept: bool,
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
        self.growing.as_ref().map_or_else(|| self.layout.0.root.path(), |growing| &growing.traces.inside)
    }

    /// Makes what is in it visible under its names. If somebody else made a layout there meanwhile, adds to that.
    ///
    /// # Errors
    /// `Io`.
    ///
    /// # Cancel safety
    /// What was begun is finished.
    pub async fn publish(self) -> Result<()> {
        blocking(move || {
            if let Some(growing) = &self.growing {
                growing.publish(&self.layout)?;
            }
            // What is there is needed inside no longer.
            self.layout.0.spoiled.store(true, Ordering::Relaxed);
            Ok(())
        })
        .await
    }

    fn begin(path: &Path) -> Result<Self> {
        let mut traces = Traces::default();
        let mut tries = 1;
        let (root, home) = loop {
            match traces.settle(path) {
                Err(error) if tries < MAX_TRIES && is_overtaken(&error) => tries += 1,
                outcome => break outcome?,
            }
        };
        let growing = home.map(|home| Growing { home, traces });
        let layout = if growing.is_some() { Layout::new(root, Shape::Single) } else { Layout::leased(root)? };
        Ok(Self { layout, growing })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let may_go_on = !self.layout.0.spoiled.load(Ordering::Relaxed);
        if let Some(growing) = &mut self.growing {
            growing.traces.kept = may_go_on && partial::is_worth_keeping(&self.layout.0.root).unwrap_or(false);
        }
    }
}

impl Growing {
    fn publish(&self, draft: &Layout) -> Result<()> {
        let inside = &draft.0.root;
        index::establish(&self.home)?;
        let here = Repository { dir: self.home.clone(), layout: Layout::leased(self.home.clone())? };
        for digest in files::all(inside)? {
            files::link(inside, &self.home, &digest)?;
        }
        let new = index::read(inside, &draft.0.limits)?;
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

impl Traces {
    /// One try at the directory to fill: the layout that is there, or a new one with the home that it grows in.
    fn settle(&mut self, path: &Path) -> Result<(Dir, Option<Dir>)> {
        let missing = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists());
        self.made.extend(missing.map(Path::to_owned));
        // In this order a directory comes before those in it.
        self.made.sort();
        self.made.dedup();
        let home = Dir::make_root(path)?;
        if index::is_layout(&home)? {
            // Somebody else made it one while others, who are dead by now, were about to.
            sweep(&home, &home)?;
            return Ok((home, None));
        }
        refuse_others(&home)?;
        let name = format!("{PREFIX}{}", random_id()?);
        self.inside = path.join(&name);
        let inside = home.make_private_dir(&name)?;
        // A sweep between the two calls may have taken it for abandoned: then it is gone, or about to be.
        if !inside.try_lock()? || !home.is_at(&inside, &name)? {
            return Err(io_error("lock", &self.inside, io::ErrorKind::NotFound.into()));
        }
        // Where it will be: nobody is to learn of the way there.
        let inside = inside.shown_as(path);
        index::establish(&inside)?;
        sweep(&home, &inside)?;
        Ok((inside, Some(home)))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
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

/// A directory that holds something else does not become a layout by mistake.
fn refuse_others(home: &Dir) -> Result<()> {
    // The second look: it may have become a layout, mark and all, after its caller looked, and before the names were read.
    if is_in_the_making(home)? || index::is_layout(home)? {
        return Ok(());
    }
    let what = format!("target {}: it is not empty, and not an image layout", home.path().display());
    let error = Error::new(ErrorKind::Conflict, what);
    Err(error.with_hint("choose an image layout, or a directory that does not exist yet or is empty"))
}

/// Whether there is nothing but what a layout has before its mark: somebody is publishing one, or died at it. To publish
/// there adds to it, under the lock. Other tools use these names too, so what is in there counts: nothing yet.
fn is_in_the_making(home: &Dir) -> Result<bool> {
    let names = home.names()?;
    let is_ours = |name: &String| name.starts_with(PREFIX) || [BLOBS, INDEX, LOCK, UPLOADS].contains(&name.as_str());
    if !names.iter().all(is_ours) {
        return Ok(false);
    }
    let blobs = home.dir(BLOBS)?.map(|blobs| blobs.names()).transpose()?;
    let is_index = match home.file(INDEX)? {
        Some(_) => {
            blobs.is_some() && index::read(home, &Limits::default()).is_ok_and(|it| it == Index::new(Vec::new()))
        }
        None => true,
    };
    Ok(is_index && blobs.iter().flatten().all(|name| name.starts_with(PREFIX)))
}

/// Takes over what dead processes left, and removes the rest of it: their locks are free.
pub(super) fn sweep(home: &Dir, heir: &Dir) -> Result<()> {
    for name in home.dir_names()?.iter().filter(|name| name.starts_with(PREFIX)) {
        // One that can't be opened is not ours to judge.
        let Ok(Some(left)) = home.dir(name) else { continue };
        if !left.try_lock()? {
            continue;
        }
        if let Err(error) = partial::inherit(&left, heir) {
            tracing::debug!(%error, "what a dead process left is not gone on with");
        }
        if let Err(error) = fs::remove_dir_all(home.path_of(name)) {
            tracing::debug!(%error, "what a dead process left stays behind");
        }
    }
    Ok(())
}

/// How often somebody else may come first.
const MAX_TRIES: u32 = 100;
const REMOVALS: u32 = 100;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use gantri_core::{BlobBody, Discover, Pull, Push};
    use gantri_spec::{Descriptor, ImageManifest, MediaType, RepositoryName, Tag};
    use tokio::sync::Barrier;
    use tokio::task::JoinSet;

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

    /// (S1) Some give up, so that directories vanish under the others.
    #[tokio::test(flavor = "multi_thread", worker_threads = 8)]
    async fn many_drafts_of_one_new_layout_at_once_lose_nothing() {
        const TAGS: [&str; 8] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"];
        for _ in 0..20 {
            let place = tempfile::tempdir().unwrap();
            let dir = place.path().join("a/new");
            let start = Arc::new(Barrier::new(2 * TAGS.len()));
            let mut all = JoinSet::new();
            for tag in TAGS {
                let (dir, start) = (dir.clone(), Arc::clone(&start));
                let (other_dir, other_start) = (dir.clone(), Arc::clone(&start));
                all.spawn(async move {
                    start.wait().await;
                    let draft = Layout::draft(&dir).await.unwrap();
                    fill(draft.layout(), tag, tag).await;
                    draft.publish().await.unwrap();
                });
                all.spawn(async move {
                    other_start.wait().await;
                    drop(Layout::draft(&other_dir).await.unwrap());
                });
            }
            all.join_all().await;
            assert_eq!(tags(&Layout::open(&dir).await.unwrap()).await, TAGS);
            assert_eq!(fs::read_dir(&dir).unwrap().count(), 3, "blobs, index.json and oci-layout");
        }
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

    /// (S1) The mark comes last, so this is what a process leaves that dies while it makes a layout.
    #[tokio::test]
    async fn a_layout_that_lacks_only_its_mark_is_completed() {
        let place = tempfile::tempdir().unwrap();
        Layout::create(place.path()).await.unwrap();
        fs::remove_file(place.path().join("oci-layout")).unwrap();
        fs::write(place.path().join("index.json.lock"), "4194304\n").unwrap();
        fs::write(place.path().join("blobs/.gantri-dead"), "{").unwrap();
        let draft = Layout::draft(place.path()).await.unwrap();
        fill(draft.layout(), "one", "v1").await;
        draft.publish().await.unwrap();
        assert_eq!(tags(&Layout::open(place.path()).await.unwrap()).await, ["v1"]);
    }

    #[tokio::test]
    async fn what_others_have_under_the_names_of_a_layout_is_left_alone() {
        let empty = r#"{"schemaVersion":2,"manifests":[]}"#;
        let cases: [&[(&str, &str)]; 4] = [
            &[("index.json", empty)],
            &[("index.json", r#"{"name":"mine"}"#), ("blobs/.gantri-dead", "")],
            &[("index.json", "mine"), ("blobs/.gantri-dead", "")],
            &[("blobs/mine", "")],
        ];
        for case in cases {
            let place = tempfile::tempdir().unwrap();
            for (name, text) in case {
                let path = place.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            assert_eq!(Layout::draft(place.path()).await.unwrap_err().kind(), ErrorKind::Conflict, "{case:?}");
            assert!(!place.path().join("oci-layout").exists());
        }
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
