//! From a layer's bytes to its archive: the decoder that its media type asks for, if the first bytes agree.
//!
//! All decoders run in this process (T16). How much may come out is [`growth`](super::growth)'s business.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use gantri_core::Limits;
use gantri_spec::Compression;

/// Bytes read from the spool at a time.
const INPUT: usize = 128 << 10;
/// As many bytes as the longest magic number.
const MAGIC: usize = 4;

/// The uncompressed bytes of `compressed`.
///
/// Gzip may have several members, zstd several frames; anything else behind them is an error (T7).
///
/// # Errors
/// `InvalidData` if the first bytes are of another format than `compression`; `InvalidInput` if `limits.zstd_window` is
/// nothing. The reader fails with `InvalidData` or `UnexpectedEof` for bytes that are broken or cut off, and if a zstd window
/// is larger than `limits.zstd_window` (T8).
pub(crate) fn decoder<'a>(
    compression: Compression,
    mut compressed: impl Read + Send + 'a,
    limits: &Limits,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    let mut head = Vec::with_capacity(MAGIC);
    compressed.by_ref().take(MAGIC as u64).read_to_end(&mut head)?;
    check_magic(compression, &head)?;
    let all = Cursor::new(head).chain(BufReader::with_capacity(INPUT, compressed));
    Ok(match compression {
        Compression::None => Box::new(all),
        Compression::Gzip => Box::new(MultiGzDecoder::new(all)),
        Compression::Zstd => Box::new(zstd_decoder(all, limits.zstd_window)?),
        _ => return Err(invalid("a compression that this version does not know".to_owned())),
    })
}

fn zstd_decoder<R: BufRead>(compressed: R, window: u64) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(compressed)?;
    // To zstd no bound means one of its own choosing.
    let Some(log) = window.checked_ilog2() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "limit zstd_window = 0: no window is so small"));
    };
    decoder.window_log_max(log)?;
    Ok(decoder)
}

fn check_magic(said: Compression, head: &[u8]) -> io::Result<()> {
    let found = match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        // A skippable frame may stand first: pzstd and zstd:chunked write them.
        [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Compression::Zstd,
        _ => Compression::None,
    };
    if found == said {
        return Ok(());
    }
    Err(invalid(format!("{} by its media type, {} by its first bytes", name(said), name(found))))
}

fn name(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
        _ => "not compressed",
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
