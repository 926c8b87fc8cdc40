//! How far a layer may unfold (T8): decides, from two numbers, whether inflating goes on.

use gantri_core::{Error, Limits, Result};

/// Below this many bytes a layer's ratio is nobody's business: a small file of zeros is no bomb.
const RATIO_FROM: u64 = 1 << 30;

/// Counts what the layers of one image unfold to.
#[derive(Debug)]
pub(crate) struct Growth {
    limits: Limits,
    layer: u64,
    image: u64,
}

impl Growth {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, layer: 0, image: 0 }
    }

    /// The next layer begins.
    pub(crate) fn next_layer(&mut self) {
        self.layer = 0;
    }

    /// So many more bytes unfolded, from `received` compressed bytes of this layer so far: bytes that really came, never
    /// the size that was announced.
    pub(crate) fn add(&mut self, count: u64, received: u64) -> Result<()> {
        self.layer += count;
        self.image += count;
        let Limits { unpack_layer_bytes, unpack_bytes, unpack_ratio, .. } = self.limits;
        if self.layer > unpack_layer_bytes {
            return Err(Error::limit("uncompressed bytes of a layer", "unpack_layer_bytes", unpack_layer_bytes));
        }
        if self.image > unpack_bytes {
            return Err(Error::limit("uncompressed bytes of an image", "unpack_bytes", unpack_bytes));
        }
        if self.layer > RATIO_FROM && self.layer > received.saturating_mul(unpack_ratio) {
            let what = format!("{} uncompressed bytes from {received}", self.layer);
            return Err(Error::limit(what, "unpack_ratio", unpack_ratio));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use gantri_core::ErrorKind;

    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_layer_unfolds_within_bytes_and_ratio() {
        let cases = [
            ("a small bomb is no bomb", GIB, 1, true),
            ("over a gibibyte the ratio counts", GIB + 1, GIB / 1_100, false),
            ("a ratio within the bound", GIB + 1, GIB / 1_100 + 2, true),
            ("the bytes of a layer", 64 * GIB, GIB, true),
            ("one byte more", 64 * GIB + 1, GIB, false),
        ];
        for (name, count, received, fits) in cases {
            let outcome = Growth::new(Limits::default()).add(count, received).map_err(|error| error.kind());
            let expected = if fits { Ok(()) } else { Err(ErrorKind::LimitExceeded) };
            assert_eq!(outcome, expected, "{name}");
        }
    }

    #[test]
    fn an_image_unfolds_within_bytes_over_all_its_layers() {
        let mut growth = Growth::new(Limits::default());
        for _ in 0..4 {
            growth.next_layer();
            growth.add(64 * GIB, 64 * GIB).unwrap();
        }
        growth.next_layer();
        assert_eq!(growth.add(1, GIB).unwrap_err().kind(), ErrorKind::LimitExceeded);
    }
}
