use std::io::Write;

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn decoded(compression: Compression, bytes: &[u8]) -> Result<Vec<u8>, io::ErrorKind> {
    let mut all = Vec::new();
    decoder(compression, bytes, &Limits::default())
        .and_then(|mut reader| reader.read_to_end(&mut all))
        .map(|_| all)
        .map_err(|error| error.kind())
}

#[test]
fn each_format_unfolds_members_and_frames_too() {
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
    let cases = [
        ("plain", Compression::None, b"ab".to_vec()),
        ("gzip", Compression::Gzip, gzip(b"ab")),
        ("gzip of two members", Compression::Gzip, [gzip(b"a"), gzip(b"b")].concat()),
        ("gzip with an empty member", Compression::Gzip, [gzip(b""), gzip(b"ab"), gzip(b"")].concat()),
        ("zstd", Compression::Zstd, zstd(b"ab")),
        ("zstd of two frames", Compression::Zstd, [zstd(b"a"), zstd(b"b")].concat()),
        ("zstd with a skippable frame first", Compression::Zstd, [skippable.clone(), zstd(b"ab")].concat()),
        ("zstd with a skippable frame last", Compression::Zstd, [zstd(b"ab"), skippable].concat()),
    ];
    for (name, compression, bytes) in cases {
        assert_eq!(decoded(compression, &bytes), Ok(b"ab".to_vec()), "{name}");
    }
    assert_eq!(decoded(Compression::None, b""), Ok(Vec::new()));
}

#[test]
fn the_first_bytes_must_agree_with_the_media_type() {
    let bytes = [
        (Compression::None, b"a plain archive".to_vec()),
        (Compression::Gzip, gzip(b"a")),
        (Compression::Zstd, zstd(b"a")),
    ];
    for (is, bytes) in &bytes {
        for said in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let expected = if said == *is { None } else { Some(io::ErrorKind::InvalidData) };
            assert_eq!(decoded(said, bytes).err(), expected, "{said:?} said, {is:?} found");
        }
    }
}

#[test]
fn a_stream_cut_anywhere_is_an_error() {
    for (compression, whole) in [(Compression::Gzip, gzip(b"content")), (Compression::Zstd, zstd(b"content"))] {
        for length in 0..whole.len() {
            assert!(decoded(compression, &whole[..length]).is_err(), "{compression:?} cut at {length}");
        }
        // In the second of two as well.
        let twice = [whole.clone(), whole.clone()].concat();
        for length in whole.len() + 1..twice.len() {
            assert!(decoded(compression, &twice[..length]).is_err(), "{compression:?} cut at {length}");
        }
    }
}

#[test]
fn anything_else_behind_the_stream_is_an_error() {
    for (compression, whole) in [(Compression::Gzip, gzip(b"content")), (Compression::Zstd, zstd(b"content"))] {
        for junk in [&b"\0"[..], b"\0\0\0\0", b"junk", b"\x1f", b"\x1f\x8b", b"\x28\xb5", &[0; 1024]] {
            assert!(decoded(compression, &[&whole, junk].concat()).is_err(), "{compression:?} and {junk:?}");
        }
    }
}

#[test]
fn a_flipped_bit_never_gives_other_content() {
    for (compression, whole) in [(Compression::Gzip, gzip(b"content"))] {
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let outcome = decoded(compression, &flipped);
            assert!(outcome.is_err() || outcome == Ok(b"content".to_vec()), "{compression:?}, bit {bit}");
        }
    }
}

#[test]
fn a_zstd_window_is_bounded() {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(28).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.write_all(b"content").unwrap();
    let wide = encoder.finish().unwrap();
    assert!(decoded(Compression::Zstd, &wide).is_err());
    // A bound of nothing is never taken for none.
    let mut limits = Limits::default();
    limits.zstd_window = 0;
    let refused = decoder(Compression::Zstd, &zstd(b"content")[..], &limits).err().map(|error| error.kind());
    assert_eq!(refused, Some(io::ErrorKind::InvalidInput));
}
