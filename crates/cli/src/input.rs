//! Bytes that a command is given: a file that can be read again, or a stream that can't.

use std::fs::File;
use std::io::{self, Read, SeekFrom};
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use gantri::spec::{Descriptor, Hasher, MediaType};
use gantri::{BlobBody, ByteStream, Digest, Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt};

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;

/// A blob to be put.
pub(crate) enum Input {
    /// A file: what it was when it was hashed, and its bytes, read when they are sent.
    File(Box<Descriptor>, BlobBody),
    /// Standard input, a pipe or a device: read once.
    Stream(ByteStream),
}

impl Input {
    /// A file, or standard input if it is called `-`.
    ///
    /// # Errors
    /// `Io`; `DigestMismatch` if a file has another digest than `expected`.
    pub(crate) async fn open(file: &Path, expected: Option<&Digest>) -> Result<Self> {
        if is_stdin(file) {
            return Ok(Self::Stream(chunks(tokio::io::stdin(), "standard input".to_owned())));
        }
        let name = file.display().to_string();
        let metadata = tokio::fs::metadata(file).await.map_err(|error| reading(&name, error))?;
        if !metadata.is_file() {
            let opened = tokio::fs::File::open(file).await.map_err(|error| reading(&name, error))?;
            return Ok(Self::Stream(chunks(opened, name)));
        }
        let blob = hashed(file, expected).await?;
        match expected.filter(|expected| **expected != blob.digest) {
            Some(expected) => {
                let what = format!("{name}: its digest is {}, not {expected}", blob.digest);
                Err(Error::new(ErrorKind::DigestMismatch, what))
            }
            None => Ok(Self::File(Box::new(blob), body(file.to_owned()))),
        }
    }
}

/// All of a file, or of standard input if it is called `-`, up to the bound of this name.
///
/// # Errors
/// `LimitExceeded`; `Io`.
pub(crate) async fn whole(file: &Path, limit: &str, bytes: u64) -> Result<Vec<u8>> {
    let name = if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() };
    let mut whole = Vec::new();
    let read = if is_stdin(file) {
        tokio::io::stdin().take(bytes + 1).read_to_end(&mut whole).await
    } else {
        let opened = tokio::fs::File::open(file).await.map_err(|error| reading(&name, error))?;
        opened.take(bytes + 1).read_to_end(&mut whole).await
    };
    read.map_err(|error| reading(&name, error))?;
    if whole.len() as u64 > bytes { Err(Error::limit(name, limit, bytes)) } else { Ok(whole) }
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

/// What the file is, by the algorithm of the digest that is expected.
async fn hashed(file: &Path, expected: Option<&Digest>) -> Result<Descriptor> {
    let hasher = match expected {
        Some(digest) => digest.hasher().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("{digest} can't be verified: unsupported algorithm"))
        })?,
        None => Hasher::sha256(),
    };
    let (path, name) = (file.to_owned(), file.display().to_string());
    let hashing = tokio::task::spawn_blocking(move || hash(&path, hasher));
    hashing.await.map_err(io::Error::other).flatten().map_err(|error| reading(&name, error))
}

fn hash(path: &Path, mut hasher: Hasher) -> io::Result<Descriptor> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(Descriptor::new(MediaType::OCTET_STREAM, hasher.finish(), size));
        }
        hasher.update(&buffer[..count]);
        size += count as u64;
    }
}

/// The file's bytes as often as they are wanted. Whoever sends them holds them against what was hashed, so that a file that
/// changed meanwhile is found out.
fn body(path: PathBuf) -> BlobBody {
    BlobBody::reopen(move |offset| {
        let path = path.clone();
        let opened = async move {
            let name = path.display().to_string();
            let mut file = tokio::fs::File::open(&path).await.map_err(|error| reading(&name, error))?;
            file.seek(SeekFrom::Start(offset)).await.map_err(|error| reading(&name, error))?;
            Ok(chunks(file, name))
        };
        stream::once(opened).try_flatten().boxed()
    })
}

fn chunks(reader: impl AsyncRead + Send + Unpin + 'static, name: String) -> ByteStream {
    let next = |(mut reader, name): (_, String)| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = AsyncReadExt::read_buf(&mut reader, &mut chunk).await;
        let count = read.map_err(|error| reading(&name, error))?;
        Ok((count > 0).then(|| (chunk.into(), (reader, name))))
    };
    stream::try_unfold((reader, name), next).boxed()
}

fn reading(name: &str, error: io::Error) -> Error {
    Error::io(format!("read {name}"), error)
}
