//! Layers, unpacked: an archive as it is, and compressed. Whatever it tries, it stays within its root, within its bounds,
//! and leaves nothing behind when it is refused (T1 to T8).

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use gantri_core::{BlobBody, ErrorKind, Limits, Memory, Push, Result};
use gantri_image::{Unpack, Unpacked};
use gantri_spec::{MediaType, RepositoryName, Tag};
use test_support::image::{Image, Layer};
use test_support::layers::{Entry, MODES, NAMES, PARENTS, PATHS, TARGETS, archive, expected, on_disk};

use crate::can_be_shown;
use crate::runtime::block_on;
use crate::sandbox::Sandbox;

/// Uncompressed bytes that a layer may have.
const BYTES: u64 = 1 << 20;

thread_local! {
    static SANDBOX: Sandbox = Sandbox::new();
}

/// A layer as its archive.
pub fn tar(data: &[u8]) {
    let layer = Layer::packed(MediaType::OCI_LAYER, data, data.to_vec());
    SANDBOX.with(|sandbox| {
        if let Some(unpacked) = contained(sandbox, &[layer]) {
            assert!(unpacked.bytes <= BYTES && unpacked.entries <= data.len() as u64 / 512);
        }
    });
}

/// A layer as gzip or zstd, by its first byte (T7, T8).
pub fn compressed(data: &[u8]) {
    let Some((choice, packed)) = data.split_first() else { return };
    let (media_type, archive) = match choice % 2 {
        0 => (MediaType::OCI_LAYER_GZIP, inflated(MultiGzDecoder::new(packed))),
        _ => (MediaType::OCI_LAYER_ZSTD, zstd::Decoder::new(packed).ok().and_then(inflated)),
    };
    let is_readable = archive.is_some();
    let layer = Layer::packed(media_type, &archive.unwrap_or_default(), packed.to_vec());
    SANDBOX.with(|sandbox| assert!(contained(sandbox, &[layer]).is_none() || is_readable));
}

/// A stack of layers against a model of what it must come to (T11, T12). An entry is three bytes: what it is, and two that
/// choose its names; 0xff begins the next layer.
pub fn layers(data: &[u8]) {
    let layers = data.split(|byte| *byte == 0xff).take(LAYERS);
    let stack: Vec<Vec<Entry>> = layers
        .map(|layer| layer.chunks_exact(3).take(ENTRIES).map(|bytes| entry(bytes[0], bytes[1], bytes[2])).collect())
        .collect();
    let packed: Vec<Layer> = stack
        .iter()
        .map(|layer| archive(layer))
        .map(|archive| Layer::packed(MediaType::OCI_LAYER, &archive, archive.clone()))
        .collect();
    SANDBOX.with(|sandbox| {
        let root = sandbox.root();
        let outcome = block_on(unpack(&packed, &root)).map(|_| on_disk(&root));
        sandbox.clear();
        match (outcome, expected(&stack)) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{stack:?}"),
            (Err(error), Err(_)) => assert_eq!(error.kind(), ErrorKind::LayerInvalid, "{error}: {stack:?}"),
            (Err(error), Ok(_)) => panic!("refused: {error}: {stack:?}"),
            (Ok(_), Err(_)) => panic!("taken: {stack:?}"),
        }
    });
}

const LAYERS: usize = 4;
const ENTRIES: usize = 12;

fn entry(what: u8, one: u8, other: u8) -> Entry {
    let (path, parent) = (chosen(&PATHS, one), chosen(&PARENTS, one));
    match what % 6 {
        0 => Entry::File { path, contents: other / 3, mode: chosen(&MODES, other) },
        1 => Entry::Directory { path, mode: chosen(&MODES, other) },
        2 => Entry::Symlink { path, target: chosen(&TARGETS, other) },
        3 => Entry::HardLink { path, target: chosen(&PATHS, other) },
        4 => Entry::Whiteout { parent, name: chosen(&NAMES, other) },
        _ => Entry::Opaque { parent },
    }
}

fn chosen<T: Copy>(table: &[T], byte: u8) -> T {
    table[usize::from(byte) % table.len()]
}

/// What another user of the same decoders makes of it; `None` if it is broken or more than a layer may hold.
fn inflated(decoder: impl Read) -> Option<Vec<u8>> {
    let mut archive = Vec::new();
    let read = decoder.take(BYTES + 1).read_to_end(&mut archive);
    (read.is_ok() && archive.len() as u64 <= BYTES).then_some(archive)
}

/// Unpacks and clears away what came of it.
fn contained(sandbox: &Sandbox, layers: &[Layer]) -> Option<Unpacked> {
    let outcome = block_on(unpack(layers, &sandbox.root()));
    assert_eq!(outcome.is_ok(), sandbox.root().exists());
    sandbox.clear();
    outcome.map_err(|error| refused(&error)).ok()
}

fn refused(error: &gantri_core::Error) {
    can_be_shown(error);
    let kinds = [
        ErrorKind::LayerInvalid,
        ErrorKind::LimitExceeded,
        ErrorKind::DigestMismatch,
        ErrorKind::Unsupported,
        ErrorKind::Io,
    ];
    assert!(kinds.contains(&error.kind()), "{error}");
}

/// An image of these layers, as a directory.
pub(crate) async fn unpack(layers: &[Layer], root: &Path) -> Result<Unpacked> {
    let (registry, repo): (Memory, RepositoryName) = (Memory::new(), "a".parse().expect("a name"));
    let image = Image::of_layers(layers);
    for blob in image.parsed.layers.iter().chain([&image.parsed.config]) {
        let bytes = image.blobs.get(&blob.digest).cloned().unwrap_or_default();
        registry.put_blob(&repo, blob, BlobBody::bytes(bytes)).await?;
    }
    registry.put_manifest(&repo, &image.manifest, &[Tag::latest()]).await?;
    let mut limits = Limits::default();
    (limits.unpack_layer_bytes, limits.unpack_path, limits.zstd_window) = (BYTES, 255, BYTES);
    Unpack::new(Arc::new(registry), repo, Tag::latest()).limits(limits).to(root).await
}
