//! Uploads that outlive their process: one small file each, in a directory of the user's.
//!
//! A file is named by a digest of registry, repository and blob, is for its owner alone - what is in it may let its reader
//! write to the upload - and is locked while somebody has the upload in hand. Registries forget uploads, and so does this
//! directory after a day. What goes wrong here stops no upload.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use gantri_core::UploadSession;
use gantri_remote::{KeptSession, UploadSessions};
use gantri_spec::{Descriptor, Digest, Host, RepositoryName};

/// Smaller blobs are sent again sooner than they are looked after.
const KEPT_FROM: u64 = 1 << 20;
/// As long as nobody goes on with it, so long is an upload kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of a file that are read: sessions are named by URLs.
const LARGEST: u64 = 64 << 10;

/// Upload sessions in a directory, from where the next process goes on with them.
#[derive(Clone, Debug)]
pub struct KeptUploads {
    dir: Arc<Path>,
}

impl KeptUploads {
    /// Uploads kept in this directory, which is made, for its owner alone, when there is the first to keep.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into().into() }
    }

    /// Uploads kept in `$XDG_CACHE_HOME/gantri/uploads`, else in `~/.cache/gantri/uploads`; `None` if there is neither. This
    /// is where the command keeps them.
    pub fn of_user() -> Option<Self> {
        let cache = environment("XDG_CACHE_HOME").or_else(|| environment("HOME").map(|home| home.join(".cache")));
        cache.map(|cache| Self::at(cache.join("gantri/uploads")))
    }
}

#[async_trait]
impl UploadSessions for KeptUploads {
    async fn open(&self, registry: &Host, repo: &RepositoryName, blob: &Descriptor) -> Option<Box<dyn KeptSession>> {
        if blob.size < KEPT_FROM {
            return None;
        }
        let name = Digest::of(format!("{}/{repo}@{}", registry.as_str(), blob.digest).as_bytes());
        let (dir, name) = (Arc::clone(&self.dir), name.encoded().to_owned());
        let outcome = blocking(move || open(&dir, &name)).await;
        let kept = outcome.inspect_err(|error| tracing::debug!(%error, "the upload is not kept")).ok().flatten()?;
        Some(Box::new(kept))
    }
}

/// A session's file, locked.
#[derive(Debug)]
struct Kept {
    file: Arc<File>,
    path: PathBuf,
    session: Option<UploadSession>,
}

#[async_trait]
impl KeptSession for Kept {
    fn session(&self) -> Option<UploadSession> {
        self.session.clone()
    }

    async fn keep(&mut self, session: UploadSession) {
        let (file, text) = (Arc::clone(&self.file), serde_json::to_vec(&session).unwrap_or_default());
        self.session = Some(session);
        let written = blocking(move || {
            file.write_all_at(&text, 0)?;
            file.set_len(text.len() as u64)
        });
        if let Err(error) = written.await {
            tracing::debug!(%error, "the upload is not kept");
        }
    }

    async fn forget(&mut self) {
        self.session = None;
        // The file goes when this value does: the next session of the same upload may be kept in it.
        let file = Arc::clone(&self.file);
        if let Err(error) = blocking(move || file.set_len(0)).await {
            tracing::debug!(%error, "an upload that is over stays in its file");
        }
    }
}

/// A file in which nothing is kept goes, while it is still locked: nobody else may have opened it for a session of his own.
impl Drop for Kept {
    fn drop(&mut self) {
        if self.session.is_none()
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, "a file without an upload stays");
        }
    }
}

/// The file of this name, locked, with what it holds; none if somebody else has it in hand.
fn open(dir: &Path, name: &str) -> io::Result<Option<Kept>> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    sweep(dir)?;
    let path = dir.join(name);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    if file.try_lock().is_err() {
        return Ok(None);
    }
    // Whoever had it before may have taken it away since it was opened.
    let here = file.metadata()?;
    if fs::symlink_metadata(&path).ok().is_none_or(|there| (there.dev(), there.ino()) != (here.dev(), here.ino())) {
        return Ok(None);
    }
    let session = read(&file)?;
    Ok(Some(Kept { file: Arc::new(file), path, session }))
}

/// What a file holds; nothing, if that is no session: whoever wrote it may have been killed at that.
fn read(file: &File) -> io::Result<Option<UploadSession>> {
    let length = file.metadata()?.len();
    if length > LARGEST {
        return Ok(None);
    }
    let mut text = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut text, 0)?;
    Ok(serde_json::from_slice(&text).ok())
}

/// Removes what nobody has gone on with for a day.
fn sweep(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let Ok(file) = entry.and_then(|entry| File::open(entry.path()).map(|file| (entry.path(), file))) else {
            continue;
        };
        let (path, file) = file;
        let age = file.metadata()?.modified().ok().and_then(|written| SystemTime::now().duration_since(written).ok());
        if age.is_some_and(|age| age > KEPT_FOR) && file.try_lock().is_ok() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|lost| Err(io::Error::other(lost)))
}

#[expect(clippy::disallowed_methods, reason = "the user's directory is asked for by name, by whoever wants it")]
fn environment(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use gantri_spec::{Algorithm, MediaType};

    use super::*;

    fn blob(size: u64) -> Descriptor {
        Descriptor::new(MediaType::OCTET_STREAM, Digest::of(b"x"), size)
    }

    async fn place(uploads: &KeptUploads, repo: &str) -> Option<Box<dyn KeptSession>> {
        uploads.open(&"localhost:5000".parse().unwrap(), &repo.parse().unwrap(), &blob(KEPT_FROM)).await
    }

    fn session() -> UploadSession {
        UploadSession::new("http://localhost:5000/v2/a/b/blobs/uploads/1?state=secret", 7, Algorithm::Sha256)
    }

    #[tokio::test]
    async fn a_session_outlives_its_process_and_is_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let uploads = KeptUploads::at(home.path().join("a/uploads"));
        let mut kept = place(&uploads, "a/b").await.unwrap();
        assert_eq!(kept.session(), None);
        kept.keep(UploadSession::new("a longer name than the other has, by far", 0, Algorithm::Sha256)).await;
        kept.keep(session()).await;
        drop(kept);
        assert_eq!(place(&uploads, "a/c").await.unwrap().session(), None, "another repository");
        let mut kept = place(&uploads, "a/b").await.unwrap();
        assert_eq!(kept.session(), Some(session()));
        assert!(place(&uploads, "a/b").await.is_none(), "somebody has it in hand");
        for entry in fs::read_dir(home.path().join("a/uploads")).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(home.path().join("a/uploads")).unwrap().mode() & 0o777, 0o700);
        kept.forget().await;
        drop(kept);
        assert_eq!(place(&uploads, "a/b").await.unwrap().session(), None);
    }

    /// The registry forgot the first session, and the same put began another.
    #[tokio::test]
    async fn a_session_that_follows_a_forgotten_one_is_kept_too() {
        let home = tempfile::tempdir().unwrap();
        let uploads = KeptUploads::at(home.path());
        let mut kept = place(&uploads, "a/b").await.unwrap();
        kept.keep(UploadSession::new("a longer name than the other has, by far", 0, Algorithm::Sha256)).await;
        kept.forget().await;
        assert!(place(&uploads, "a/b").await.is_none(), "the place is still in hand");
        kept.keep(session()).await;
        drop(kept);
        let mut kept = place(&uploads, "a/b").await.unwrap();
        assert_eq!(kept.session(), Some(session()));
        kept.forget().await;
        drop(kept);
        drop(place(&uploads, "a/b").await.unwrap());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is kept, in no file");
    }

    #[tokio::test]
    async fn what_is_small_old_or_torn_is_not_kept() {
        let home = tempfile::tempdir().unwrap();
        let uploads = KeptUploads::at(home.path());
        let (host, repo) = ("localhost:5000".parse().unwrap(), "a/b".parse().unwrap());
        assert!(uploads.open(&host, &repo, &blob(KEPT_FROM - 1)).await.is_none());
        place(&uploads, "a/b").await.unwrap().keep(session()).await;
        let path = fs::read_dir(home.path()).unwrap().next().unwrap().unwrap().path();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(place(&uploads, "a/b").await.unwrap().session(), None, "torn");
        fs::write(&path, &whole).unwrap();
        let old = SystemTime::now() - KEPT_FOR - Duration::from_secs(1);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        assert_eq!(place(&uploads, "a/b").await.unwrap().session(), None, "old");
    }
}
