//! An artifact's files in a directory.
//!
//! Decides which names files may have there: titles come from outside, so each must be one plain path below the directory,
//! and none may lie in the way of another. Files grow in a private directory beside the target, which becomes the target
//! in one step.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use gantri_core::error::display_untrusted;
use gantri_core::{Error, ErrorKind, Event, Result, verify};
use gantri_spec::{Annotations, ByteRange, Compression, Descriptor, Digest, Manifest, MediaType, Selector};
use tokio::sync::mpsc;
use tokio::task::{self, JoinSet};

use super::directory::Directory;
use super::{CONTENT_DIGEST, CONTENT_UNPACK};
use crate::graph::parse;
use crate::place::Place;
use crate::progress::counted;
use crate::pull::PullOptions;
use crate::unpack::{Staging, Target};

/// Chunks that wait for the disk.
const AHEAD: usize = 4;
/// The longest component that Linux file systems keep.
const COMPONENT: usize = 255;
/// What others see of the finished directory.
const OPEN: u32 = 0o755;

/// What was unpacked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnpackedArtifact {
    /// The artifact's manifest.
    pub manifest: Descriptor,
    /// What the artifact is.
    pub artifact_type: Option<MediaType>,
    /// Its files and directories, relative to the target, sorted.
    pub files: Vec<PathBuf>,
}

/// Fetches an artifact and writes its files into `dir`, which must be empty or not be there; its parent directory must be
/// there. Layers without a title are left out where others have one, and so is the config.
///
/// # Errors
/// `Conflict` if something is in the way at `dir`; `LayerInvalid` for a title that is no plain relative path, or two that
/// are in each other's way; `Unsupported` if it is an index, no manifest of layers, or one of layers of which none has a
/// title (an image, a signature), but for the empty one; `LimitExceeded` for `layers`; `DigestMismatch`, `SizeMismatch`;
/// those of [`Unpack`](crate::Unpack) for directories; `Config` for a bound that
/// [can't be kept](gantri_core::Limits::check); whatever the registry says.
///
/// # Cancel safety
/// Atomic: `dir` appears complete, or not at all.
pub async fn unpack_artifact(
    place: &Place,
    at: &Selector,
    dir: impl Into<PathBuf>,
    options: &PullOptions,
) -> Result<UnpackedArtifact> {
    options.limits.check()?;
    let dir = dir.into();
    let target = blocking(move || Target::check(&dir)).await?;
    let raw = place.registry.manifest(&place.repo, at).await?;
    let Manifest::Image(image) = parse(&raw)? else {
        let kind = display_untrusted(raw.media_type().as_str());
        let what = format!("manifest {}: {kind} is no artifact of files", raw.digest());
        return Err(Error::new(ErrorKind::Unsupported, what));
    };
    if image.layers.len() > options.limits.layers {
        let what = format!("manifest {} with {} layers", raw.digest(), image.layers.len());
        return Err(Error::limit(what, "layers", options.limits.layers));
    }
    let files = named(&image.layers, options.limits.unpack_path)?;
    if files.is_empty() && image.layers.iter().any(|layer| layer.media_type != MediaType::OCI_EMPTY) {
        return Err(without_names(raw.digest(), &image.config.media_type));
    }
    let staging = blocking(move || Staging::create(target)).await?;
    let job = Job { place, options, root: staging.path() };
    let written: Vec<_> =
        files.iter().enumerate().map(|(number, (path, blob))| job.bring(number, path, blob)).collect();
    let at_once = options.limits.concurrent_layers;
    stream::iter(written).buffer_unordered(at_once).try_collect::<()>().await?;
    let publish = move || {
        let opened = fs::set_permissions(staging.path(), Permissions::from_mode(OPEN));
        opened.map_err(|error| Error::io("open the directory to others", error))?;
        staging.publish()
    };
    blocking(publish).await?;
    Ok(UnpackedArtifact {
        manifest: raw.descriptor().clone(),
        artifact_type: image.artifact_type,
        files: files.into_keys().collect(),
    })
}

/// Layers are no files: what they are instead, the config says as far as it can be said.
fn without_names(manifest: &Digest, config: &MediaType) -> Error {
    let is_image = [MediaType::OCI_CONFIG, MediaType::DOCKER_CONFIG].contains(config);
    let hint = if is_image {
        "an image is unpacked, not fetched: `gantri unpack`"
    } else {
        "`gantri manifest` shows its blobs by their digests, `gantri blob` fetches one"
    };
    let what = format!("manifest {manifest}: its layers have no file names");
    Error::new(ErrorKind::Unsupported, what).with_hint(hint)
}

struct Job<'a> {
    place: &'a Place,
    options: &'a PullOptions,
    root: &'a Path,
}

impl Job<'_> {
    async fn bring(&self, number: usize, path: &Path, blob: &Descriptor) -> Result<()> {
        self.options.observer.event(&Event::Started(blob));
        let to = self.root.join(path);
        let brought = match unfolds(blob) {
            Some((diff_id, compression)) => {
                // Beside the files, until it is moved among them.
                let work = self.root.join(format!(".gantri-archive-{number}"));
                Directory::new(self.place, blob, diff_id, compression).bring(path, &work, &to, self.options).await
            }
            None => self.write(blob, to).await,
        };
        brought.map_err(|error| error.during(format_args!("file {}", shown(path))))?;
        self.options.observer.event(&Event::Finished(blob));
        Ok(())
    }

    async fn write(&self, blob: &Descriptor, to: PathBuf) -> Result<()> {
        let reader = self.place.registry.blob(&self.place.repo, &blob.digest, ByteRange::Full).await?;
        let chunks = counted(reader.into_unverified(), blob.clone(), self.options.observer.clone());
        let mut chunks = verify(blob, chunks);
        let (inlet, outlet) = mpsc::channel(AHEAD);
        let mut writer = JoinSet::new();
        writer.spawn_blocking(move || write(&to, outlet));
        while let Some(chunk) = chunks.try_next().await? {
            if inlet.send(chunk).await.is_err() {
                break;
            }
        }
        drop(inlet);
        match writer.join_next().await {
            Some(Ok(written)) => written,
            _ => Err(Error::new(ErrorKind::Io, "the thread that writes ended without a word")),
        }
    }
}

fn write(to: &Path, mut chunks: mpsc::Receiver<Bytes>) -> Result<()> {
    let failed = |error| Error::io("write", error);
    make_parents(to)?;
    let mut file = OpenOptions::new().write(true).create_new(true).open(to).map_err(failed)?;
    while let Some(chunk) = chunks.blocking_recv() {
        file.write_all(&chunk).map_err(failed)?;
    }
    Ok(())
}

pub(super) fn make_parents(of: &Path) -> Result<()> {
    match of.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(|error| Error::io("make the directories above it", error)),
        None => Ok(()),
    }
}

/// The layers by their titles, each of which is a path of its own, and none inside another.
fn named(layers: &[Descriptor], longest: usize) -> Result<BTreeMap<PathBuf, Descriptor>> {
    let mut named: BTreeMap<PathBuf, Descriptor> = BTreeMap::new();
    for layer in layers {
        let Some(title) = layer.annotations.get(Annotations::TITLE) else { continue };
        let path = plain(title, longest)?;
        if let Some(before) = named.insert(path, layer.clone())
            && before.digest != layer.digest
        {
            return Err(in_the_way(title));
        }
    }
    // In this order what lies in a directory comes behind it, though names like `a.b` may stand between.
    for path in named.keys() {
        if path.ancestors().skip(1).any(|above| named.contains_key(above)) {
            return Err(in_the_way(&path.to_string_lossy()));
        }
    }
    Ok(named)
}

fn in_the_way(title: &str) -> Error {
    let title = display_untrusted(title);
    Error::new(ErrorKind::LayerInvalid, format!("title {title:?}: another layer has the same path, or one above it"))
}

/// The path that a title means, if it is a plain one below the directory (T1).
fn plain(title: &str, longest: usize) -> Result<PathBuf> {
    let refused =
        |why: &str| Err(Error::new(ErrorKind::LayerInvalid, format!("title {:?}: {why}", display_untrusted(title))));
    if title.len() > longest || title.split('/').any(|part| part.len() > COMPONENT) {
        return refused("it is longer than a path may be");
    }
    if title.contains(['\\', '\0']) || title.chars().any(char::is_control) {
        return refused("it has characters that no name may have");
    }
    let path = Path::new(title);
    // `components` would overlook a `.` in the middle and a slash at the end.
    let parts = title.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !parts || !path.components().all(|part| matches!(part, Component::Normal(_))) {
        return refused("it is no plain path below the directory");
    }
    Ok(path.to_owned())
}

/// Whether a layer is a directory's archive, as oras marks one: what it unfolds to, and from what.
fn unfolds(layer: &Descriptor) -> Option<(Digest, Compression)> {
    let says = |key: &str| layer.annotations.get(key).map(String::as_str);
    if says(CONTENT_UNPACK) != Some("true") {
        return None;
    }
    let diff_id = says(CONTENT_DIGEST)?.parse().ok()?;
    // Whatever type it was given, oras makes nothing else.
    Some((diff_id, layer.media_type.compression().unwrap_or(Compression::Gzip)))
}

fn shown(path: &Path) -> String {
    display_untrusted(&path.to_string_lossy())
}

pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = task::spawn_blocking(work).await;
    done.map_err(|error| Error::new(ErrorKind::Io, format!("unpack an artifact: {error}")))?
}
