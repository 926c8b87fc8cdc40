//! A strict reader of tar archives: ustar, PAX, GNU and star.
//!
//! Strict means that what two readers might understand differently is an error and never skipped (T6): a wrong checksum,
//! a malformed number or record, a name given twice, a size where there can be no contents, records that nothing
//! follows, anything but zeros after the end. Every error names the offset. Nothing here touches the disk or judges
//! names; memory is bounded by [`Limits`](gantri_core::Limits), whatever the archive says of itself.

mod archive;
mod block;
mod compose;
mod input;
mod member;
mod number;
mod pax;
mod sparse;

pub(super) use archive::Archive;
pub(super) use member::{Kind, Member, Metadata, Xattr};

use gantri_core::{Error, ErrorKind};

/// A layer that breaks a rule of the format at this offset.
fn invalid(offset: u64, rule: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::LayerInvalid, format!("byte {offset}: {rule}"))
}

#[cfg(test)]
mod tests;
