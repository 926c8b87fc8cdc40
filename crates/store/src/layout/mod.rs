//! An OCI image layout, or a tree of them, as a registry.
//!
//! This file decides what a [`Layout`] is and how one comes to be; what each workflow promises is in the file of that
//! workflow, as everywhere. Below those: `index.rs` and `entries.rs` know `index.json`, `graph.rs` the manifests,
//! `files.rs` the blobs, `dir.rs` the file system.

mod discover;
mod draft;
pub(crate) mod files;
mod gc;
mod incoming;
pub(crate) mod index;
mod lease;
pub(crate) mod lock;
mod manage;
mod partial;
mod pull;
mod push;
pub(crate) mod scratch;
mod tree;
mod upload;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gantri_core::{Error, ErrorKind, Limits, MissingChildren, Result};
use gantri_spec::{Index, RepositoryName};

pub use self::draft::Draft;
pub use self::gc::{Collected, Untagged};
use self::lease::Lease;
use crate::blocking::blocking;
use crate::dir::Dir;
use crate::reading::Held;

/// Image layouts on disk as a registry.
///
/// A value is a handle: clones share it. It keeps no content in memory, so several processes, and other tools, can work on
/// the same layout. Spec: [image layout](https://github.com/opencontainers/image-spec/blob/main/image-layout.md).
///
/// Needs a tokio runtime: the disk is used from its blocking threads.
#[derive(Clone, Debug)]
pub struct Layout(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: Dir,
    shape: Shape,
    limits: Limits,
    missing_children: MissingChildren,
    /// Queues the writers of this process, so that only processes contend for the lock on disk.
    writers: Mutex<()>,
    /// What keeps the content that is put here, or found, until something leads to it.
    lease: Option<Arc<Lease>>,
    /// Whether a blob was refused for good: nobody will go on with what is here then.
    spoiled: Arc<AtomicBool>,
}

/// What the directory is.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// One image layout: the same repository under every name.
    Single,
    /// One image layout a repository, in the sub-directory of its name.
    Tree,
}

/// One image layout, to be worked on by a thread that may block.
#[derive(Clone, Debug)]
struct Repository {
    dir: Dir,
    layout: Layout,
}

impl Layout {
    /// Makes an empty image layout in `dir`, which is created if need be, with its parents.
    ///
    /// # Errors
    /// `Conflict` if `dir` is an image layout already; `Io`.
    ///
    /// # Cancel safety
    /// What was begun is finished; making it again succeeds or says `Conflict`.
    pub async fn create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::begin(dir, |root| {
            if index::is_layout(root)? {
                let what = format!("create image layout {}: there is one already", root.path().display());
                return Err(Error::new(ErrorKind::Conflict, what));
            }
            index::establish(root).map(|()| Shape::Single)
        })
        .await
    }

    /// Opens the image layout in `dir`: a registry of one repository, which answers to any name.
    ///
    /// # Errors
    /// `NotARegistry` if there is no image layout; `Unsupported` if it is of an unknown version; `Io`.
    ///
    /// # Cancel safety
    /// Only reads.
    pub async fn open(dir: impl AsRef<Path>) -> Result<Self> {
        let path = dir.as_ref().to_owned();
        blocking(move || match Dir::open_root(&path)? {
            Some(root) if index::is_layout(&root)? => Ok(Self::new(root, Shape::Single)),
            _ => Err(no_layout(&path)),
        })
        .await
    }

    /// Opens the image layout in `dir`, or makes one.
    ///
    /// # Errors
    /// `Unsupported` if it is of an unknown version; `Io`.
    ///
    /// # Cancel safety
    /// What was begun is finished; opening it again succeeds.
    pub async fn open_or_create(dir: impl AsRef<Path>) -> Result<Self> {
        Self::begin(dir, |root| index::establish(root).map(|()| Shape::Single)).await
    }

    /// Opens a tree of image layouts below `dir`, which is created if need be: repository `a/b` is the image layout in
    /// `dir/a/b`, made when something is first put there.
    ///
    /// The components `blobs`, `index.json`, `index.json.lock` and `oci-layout` mean something in a layout: their
    /// directories have an underscore in front.
    ///
    /// # Errors
    /// `Conflict` if `dir` is itself an image layout; `Io`.
    ///
    /// # Cancel safety
    /// Leaves an empty directory at most.
    pub async fn tree(dir: impl AsRef<Path>) -> Result<Self> {
        Self::begin(dir, |root| {
            if index::is_layout(root)? {
                let what = format!("open tree {}: it is itself an image layout", root.path().display());
                return Err(Error::new(ErrorKind::Conflict, what));
            }
            Ok(Shape::Tree)
        })
        .await
    }

    /// The same layouts; what is put through this handle, and through clones of it, may name what is not there or not.
    #[must_use]
    pub fn with_missing_children(self, policy: MissingChildren) -> Self {
        let Self(inner) = self;
        let (root, limits) = (inner.root.clone(), inner.limits.clone());
        let (shape, writers, lease) = (inner.shape, Mutex::default(), inner.lease.clone());
        let spoiled = Arc::clone(&inner.spoiled);
        Self(Arc::new(Inner { root, shape, limits, missing_children: policy, writers, lease, spoiled }))
    }

    async fn begin(dir: impl AsRef<Path>, shape: impl FnOnce(&Dir) -> Result<Shape> + Send + 'static) -> Result<Self> {
        let path: PathBuf = dir.as_ref().to_owned();
        blocking(move || {
            let root = Dir::make_root(&path)?;
            shape(&root).map(|shape| Self::new(root, shape))
        })
        .await
    }

    /// Makes a layout of an empty directory that is ours alone.
    pub(crate) fn begin_in(root: Dir) -> Result<Self> {
        index::establish(&root)?;
        Ok(Self::new(root, Shape::Single))
    }

    pub(crate) fn root(&self) -> &Dir {
        &self.0.root
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn new(root: Dir, shape: Shape) -> Self {
        Self::held_by(root, shape, None)
    }

    /// One image layout, for a job: what it puts there or finds is kept as long as this handle lives.
    fn leased(root: Dir) -> Result<Self> {
        let lease = Lease::take(&root)?;
        Ok(Self::held_by(root, Shape::Single, Some(Arc::new(lease))))
    }

    fn held_by(root: Dir, shape: Shape, lease: Option<Arc<Lease>>) -> Self {
        let (limits, missing_children) = (Limits::default(), MissingChildren::default());
        let (writers, spoiled) = (Mutex::default(), Arc::default());
        Self(Arc::new(Inner { root, shape, limits, missing_children, writers, lease, spoiled }))
    }

    /// Remembers that a blob will never come, but for one that did not come only because of the way.
    fn note(&self, error: &Error) {
        use ErrorKind::{Connect, RateLimited, SizeMismatch, Timeout, Unavailable};
        // A body that ends too soon is of the wrong size.
        if !matches!(error.kind(), Connect | RateLimited | SizeMismatch | Timeout | Unavailable) {
            self.0.spoiled.store(true, Ordering::Relaxed);
        }
    }

    /// Runs work on a repository that must be there.
    fn on<T, W>(&self, repo: &RepositoryName, work: W) -> impl Future<Output = Result<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Repository) -> Result<T> + Send + 'static,
    {
        let (layout, repo) = (self.clone(), repo.clone());
        blocking(move || match layout.find(&repo)? {
            Some(dir) if index::is_layout(&dir)? => work(&Repository { dir, layout }),
            _ => Err(unknown_repository(&repo)),
        })
    }

    /// Runs work on a repository that comes to be when something is stored in it.
    fn on_made<T, W>(&self, repo: &RepositoryName, work: W) -> impl Future<Output = Result<T>> + Send + use<T, W>
    where
        T: Send + 'static,
        W: FnOnce(&Repository) -> Result<T> + Send + 'static,
    {
        let (layout, repo) = (self.clone(), repo.clone());
        blocking(move || {
            let dir = layout.make(&repo)?;
            work(&Repository { dir, layout })
        })
    }

    /// The directory of a repository, if there is one. It need not be a layout yet.
    fn find(&self, repo: &RepositoryName) -> Result<Option<Dir>> {
        match self.0.shape {
            Shape::Single => Ok(Some(self.0.root.clone())),
            Shape::Tree => Ok(tree::find(&self.0.root, repo)?.map(|dir| named(dir, repo))),
        }
    }

    /// The directory of a repository, made if it is new. It becomes a layout when something is stored in it.
    fn make(&self, repo: &RepositoryName) -> Result<Dir> {
        match self.0.shape {
            Shape::Single => Ok(self.0.root.clone()),
            Shape::Tree => Ok(named(tree::make(&self.0.root, repo)?, repo)),
        }
    }
}

impl Repository {
    fn limits(&self) -> &Limits {
        self.layout.limits()
    }

    fn index(&self) -> Result<Index> {
        index::read(&self.dir, self.limits())
    }

    fn held<'a>(&'a self, index: &'a Index) -> Held<'a> {
        Held { shelf: &self.dir, index, limits: self.limits() }
    }

    fn change_index<T>(&self, change: impl FnOnce(&mut Index) -> Result<T>) -> Result<T> {
        let _queued = self.queue();
        index::change(&self.dir, self.limits(), change)
    }

    /// Names first, then content: `then` takes away what the changed index no longer leads to, before anybody can lead
    /// to it anew.
    fn change_index_then<T, U>(
        &self,
        change: impl FnOnce(&mut Index) -> Result<T>,
        then: impl FnOnce(T) -> Result<U>,
    ) -> Result<U> {
        let _queued = self.queue();
        index::change_then(&self.dir, self.limits(), change, then)
    }

    fn queue(&self) -> MutexGuard<'_, ()> {
        self.layout.0.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In a tree, which is there to be served, messages name the repository: where the tree is, is nobody's business who asks.
fn named(dir: Dir, repo: &RepositoryName) -> Dir {
    dir.shown_as(Path::new(repo.as_str()))
}

fn no_layout(path: &Path) -> Error {
    Error::new(
        ErrorKind::NotARegistry,
        format!("open {}: not an image layout, it has no {}", path.display(), index::MARK),
    )
}

fn unknown_repository(repo: &RepositoryName) -> Error {
    Error::new(ErrorKind::RepositoryUnknown, format!("{repo}: repository unknown"))
}
