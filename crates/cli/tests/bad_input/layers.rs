//! Layers that have the digest that the manifest names, and are broken all the same.

use gantri::spec::{Digest, MediaType};
use test_support::image::{Layer, gzip};
use test_support::{Image, Tar};

use crate::{noise, scene};

fn archive() -> Vec<u8> {
    Tar::new().dir("etc").file("etc/motd", "hello ".repeat(100)).finish()
}

/// An honest layer lies below the broken one, so that there is something to roll back.
fn refused(layer: Layer, error: &str) {
    let image = Image::of_layers(&[Layer::gzip(&Tar::new().file("below", "x").finish()), layer]);
    let server = image.serve(|_, _| None);
    let reference = format!("{}/app:v1", server.host());
    let error = format!("unpack HOST/app:v1: layer 2 D1: {error}");
    scene().refuses(["unpack", &reference, "rootfs"]).is(1, &error, "");
}

fn packed_as(media_type: MediaType, bytes: Vec<u8>) -> Layer {
    Layer::packed(media_type, &archive(), bytes)
}

#[test]
fn a_truncated_gzip_layer_is_refused() {
    let packed = gzip(&archive());
    refused(
        packed_as(MediaType::OCI_LAYER_GZIP, packed[..packed.len() - 9].to_vec()),
        "the compressed archive is cut off",
    );
}

#[test]
fn a_gzip_layer_with_a_flipped_bit_is_refused() {
    let mut packed = gzip(&archive());
    let last = packed.len() - 8;
    packed[last] ^= 1;
    refused(
        packed_as(MediaType::OCI_LAYER_GZIP, packed),
        "the compressed archive can't be read: corrupt gzip stream does not have a matching checksum",
    );
}

#[test]
fn junk_behind_a_gzip_layer_is_refused() {
    refused(
        packed_as(MediaType::OCI_LAYER_GZIP, [gzip(&archive()), b"junk".repeat(100)].concat()),
        "the compressed archive can't be read: invalid gzip header",
    );
}

#[test]
fn a_layer_that_is_no_gzip_is_refused() {
    refused(
        packed_as(MediaType::OCI_LAYER_GZIP, b"no gzip at all".to_vec()),
        "the compressed archive can't be read: gzip by its media type, not compressed by its first bytes",
    );
}

#[test]
fn a_truncated_zstd_layer_is_refused() {
    let packed = Layer::zstd(&archive()).bytes;
    refused(
        packed_as(MediaType::OCI_LAYER_ZSTD, packed[..packed.len() - 1].to_vec()),
        "the compressed archive is cut off",
    );
}

#[test]
fn a_zstd_layer_with_a_flipped_bit_is_refused() {
    let archive = Tar::new().file("noise", noise(4096)).finish();
    let mut packed = Layer::zstd(&archive).bytes;
    // In the contents of a file, where neither the decoder nor the archive can tell.
    let middle = packed.len() / 2;
    packed[middle] ^= 1;
    refused(Layer::packed(MediaType::OCI_LAYER_ZSTD, &archive, packed), "diff_id D2 expected, D3 unpacked");
}

#[test]
fn a_zstd_window_beyond_reason_is_refused() {
    // Magic; a frame header with a window of 2 GiB; an empty last raw block.
    let frame = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00".to_vec();
    refused(
        packed_as(MediaType::OCI_LAYER_ZSTD, frame),
        "the compressed archive can't be read: Frame requires too much memory for decoding",
    );
}

#[test]
fn an_archive_that_breaks_off_is_refused() {
    let whole = Tar::new().file("etc", "x".repeat(2000)).unfinished();
    let cut = &whole[..1024];
    refused(Layer::gzip(cut), "entry \"etc\" at byte 0: byte 1024: the archive ends in the middle of an entry");
}

#[test]
fn an_archive_with_a_wrong_checksum_is_refused() {
    let mut archive = archive();
    archive[0] ^= 1;
    refused(Layer::gzip(&archive), "byte 0: a header says its checksum is 3395, but it sums up to 3394");
}

#[test]
fn a_file_that_says_it_is_huge_is_refused() {
    let huge = test_support::tar::Header { size: (1 << 33) - 1, ..test_support::tar::Header::new(b'0', "huge") };
    refused(
        Layer::gzip(&Tar::new().raw(&huge.to_block()).raw(&[0; 512]).unfinished()),
        "entry \"huge\" at byte 0: byte 1024: the archive ends in the middle of an entry",
    );
}

#[test]
fn a_file_that_says_by_pax_that_it_is_huge_is_refused() {
    let archive = Tar::new().pax("size", "4611686018427387904").file("huge", "x").finish();
    refused(
        Layer::gzip(&archive),
        "entry \"huge\" at byte 0: files of one layer: over the limit unpack_layer_bytes = 68719476736",
    );
}

#[test]
fn a_layer_that_unfolds_to_something_else_is_refused() {
    let layer = Layer { diff_id: Digest::of(b"something else"), ..Layer::gzip(&archive()) };
    refused(layer, "diff_id D2 expected, D3 unpacked");
}
