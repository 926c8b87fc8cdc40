//! Blobs that arrive in steps: a session is a file in `.uploads/`, and its length is where it stands.
//!
//! A session outlives its handles and its process; it ends with the first commit, right or wrong, with a cancel, or a
//! day after its last write (R4). Every step opens the file anew, under a lock, so that no handle can write into what
//! another one has committed. A handle hashes what it writes itself; what others wrote is hashed once, at the commit.

use std::os::unix::fs::FileExt;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use gantri_core::{BlobUpload, Error, ErrorKind, Result, UploadSession};
use gantri_spec::{Algorithm, Descriptor, Digest, Hasher, MediaType};

use super::files;
use super::lock::{WAIT, patiently, try_lock};
use super::scratch::random_id;
use crate::blocking::blocking;
use crate::dir::{Dir, Opened, io_error};
use crate::stored::Stored;

/// No repository can have this name, and no other tool looks at it.
pub(super) const UPLOADS: &str = ".uploads";

/// A handle on a session, at the offset it knows of.
#[derive(Debug)]
pub(super) struct Upload {
    session: Session,
    algorithm: Algorithm,
    offset: u64,
    hashed: Option<Hashed>,
}

/// Where a session's bytes are.
#[derive(Clone, Debug)]
struct Session {
    root: Dir,
    uploads: Dir,
    id: String,
}

/// The digest of the first bytes of a session, not finished.
#[derive(Debug)]
struct Hashed {
    hasher: Hasher,
    length: u64,
}

impl Upload {
    /// Begins a session; sessions that were forgotten are swept away.
    ///
    /// # Errors
    /// `Unsupported` if the algorithm can't be computed; `Io`.
    pub(super) fn start(root: &Dir, algorithm: Algorithm) -> Result<Self> {
        let hashed = Some(Hashed { hasher: hasher(algorithm)?, length: 0 });
        let uploads = root.make_dir(UPLOADS)?;
        sweep(&uploads)?;
        let session = Session { root: root.clone(), uploads, id: random_id()? };
        match session.uploads.create(&session.id)? {
            Some(_) => Ok(Self { session, algorithm, offset: 0, hashed }),
            None => Err(Error::new(ErrorKind::Conflict, format!("start upload {}: it exists", session.id))),
        }
    }

    /// A new handle, at the offset that the file has; what the session claims is not looked at.
    ///
    /// # Errors
    /// `UploadUnknown`; `Io`.
    pub(super) fn resume(root: &Dir, session: &UploadSession) -> Result<Self> {
        // Ids come from outside: nothing else may become the name of a file (R2).
        let is_ours =
            session.id.len() == 32 && session.id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let uploads = if is_ours { root.dir(UPLOADS)? } else { None };
        let Some(uploads) = uploads else { return Err(unknown(&session.id)) };
        let found = Session { root: root.clone(), uploads, id: session.id.clone() };
        let offset = found.uploads.file(&found.id)?.ok_or_else(|| unknown(&found.id))?.size;
        Ok(Self { session: found, algorithm: session.algorithm, offset, hashed: None })
    }
}

#[async_trait]
impl BlobUpload for Upload {
    fn offset(&self) -> u64 {
        self.offset
    }

    fn session(&self) -> UploadSession {
        UploadSession::new(self.session.id.clone(), self.offset, self.algorithm)
    }

    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let (session, at, length) = (self.session.clone(), self.offset, chunk.len() as u64);
        let hashed = self.hashed.take();
        self.hashed = blocking(move || session.append(at, &chunk, hashed)).await?;
        self.offset += length;
        Ok(())
    }

    async fn commit(self: Box<Self>, digest: &Digest) -> Result<Descriptor> {
        let digest = digest.clone();
        blocking(move || self.session.commit(digest, self.hashed)).await
    }

    async fn cancel(self: Box<Self>) -> Result<()> {
        blocking(move || {
            let _locked = self.session.lock()?;
            self.session.end()
        })
        .await
    }
}

impl Session {
    fn append(&self, at: u64, chunk: &Bytes, hashed: Option<Hashed>) -> Result<Option<Hashed>> {
        let file = self.lock()?;
        if file.size != at {
            // Somebody else wrote to the session: going on would put the chunk where it does not belong (R4).
            let what = format!("write upload {}: chunk at {at}, upload is at {}", self.id, file.size);
            return Err(Error::new(ErrorKind::RangeInvalid, what));
        }
        file.file.write_all_at(chunk, at).map_err(|error| {
            // Half a chunk is no chunk (S2). The first error is the one to tell of.
            let _ = file.file.set_len(at);
            io_error("write", &file.path, error)
        })?;
        // What a handle has hashed ends at its offset: a write that fails or is dropped takes the hash with it.
        Ok(hashed.map(|mut hashed| {
            hashed.hasher.update(chunk);
            Hashed { length: at + chunk.len() as u64, ..hashed }
        }))
    }

    fn commit(&self, digest: Digest, hashed: Option<Hashed>) -> Result<Descriptor> {
        let file = self.lock()?;
        let size = file.size;
        let actual = match digest_of(&file, &digest, hashed) {
            Ok(actual) => actual,
            Err(error) if error.kind() == ErrorKind::Io => return Err(error),
            Err(error) => return self.end().and(Err(error)),
        };
        if actual != digest {
            self.end()?;
            return Err(files::wrong_digest(&digest, &actual));
        }
        file.file.sync_all().map_err(|error| io_error("sync", &file.path, error))?;
        self.uploads.rename(&self.id, &files::make_home(&self.root, &digest)?, digest.encoded())?;
        Ok(Descriptor::new(MediaType::OCTET_STREAM, digest, size))
    }

    fn end(&self) -> Result<()> {
        self.uploads.remove(&self.id).map(drop)
    }

    /// The session's file, for this handle alone.
    fn lock(&self) -> Result<Opened> {
        let locked = patiently(|| {
            let file = self.uploads.file_to_write(&self.id)?.ok_or_else(|| unknown(&self.id))?;
            Ok(if try_lock(&file.file, &file.path)? { Some(file) } else { None })
        })?;
        let busy = || {
            let what = format!("lock upload {}: somebody else has been writing for {WAIT:?}", self.id);
            Error::new(ErrorKind::Timeout, what)
        };
        let file = locked.ok_or_else(busy)?;
        // Whoever had it before may have committed it, and may have written more.
        if self.uploads.is_at(&file.file, &self.id)? { file.measured() } else { Err(unknown(&self.id)) }
    }
}

/// Hashes what is not hashed yet; all of it, if that was by another algorithm (M3).
fn digest_of(file: &Opened, digest: &Digest, hashed: Option<Hashed>) -> Result<Digest> {
    let hashed = match hashed.filter(|hashed| hashed.hasher.algorithm() == digest.algorithm()) {
        Some(hashed) => hashed,
        None => Hashed { hasher: files::hasher(digest)?, length: 0 },
    };
    let mut content = Stored::from(file);
    content.skip_to(hashed.length);
    files::hash(&mut content, hashed.hasher)
}

/// Removes sessions that nobody wrote to for a day.
fn sweep(uploads: &Dir) -> Result<()> {
    let now = SystemTime::now();
    for name in uploads.names()? {
        let Ok(Some(found)) = uploads.file_to_write(&name) else { continue };
        let written = found.file.metadata().and_then(|metadata| metadata.modified());
        let age = written.ok().and_then(|written| now.duration_since(written).ok()).unwrap_or_default();
        if age > EXPIRES && found.file.try_lock().is_ok() {
            uploads.remove(&name)?;
        }
    }
    Ok(())
}

fn hasher(algorithm: Algorithm) -> Result<Hasher> {
    algorithm.hasher().ok_or_else(|| {
        let what = format!("start upload: digest algorithm {} can't be verified", algorithm.as_str());
        Error::new(ErrorKind::Unsupported, what)
    })
}

/// No such session, whatever it is called.
pub(super) fn unknown(id: &str) -> Error {
    Error::new(ErrorKind::UploadUnknown, format!("upload {} unknown", gantri_core::error::display_untrusted(id)))
}

const EXPIRES: Duration = Duration::from_secs(24 * 60 * 60);
