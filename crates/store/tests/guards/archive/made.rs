//! Tar archives made by hand, entry by entry.

use std::path::Path;

use tar_core::EntryType;
use tar_core::builder::EntryBuilder;

/// The bytes of an archive that is not ended yet.
#[derive(Default)]
pub(super) struct Tar(pub(super) Vec<u8>);

impl Tar {
    pub(super) fn file(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let size = bytes.as_ref().len() as u64;
        self.entry(name, EntryType::Regular, "", size).contents(bytes.as_ref())
    }

    pub(super) fn link(self, name: &str, kind: EntryType, target: &str) -> Self {
        self.entry(name, kind, target, 0)
    }

    /// A header, whatever it claims.
    pub(super) fn entry(mut self, name: &str, kind: EntryType, target: &str, size: u64) -> Self {
        let mut entry = EntryBuilder::new_ustar();
        entry.path(name).link_name(target).entry_type(kind);
        entry.size(size).unwrap().mode(0o644).unwrap().mtime(0).unwrap().uid(0).unwrap().gid(0).unwrap();
        self.0.extend(entry.finish_bytes());
        self
    }

    /// PAX records for the next entry.
    pub(super) fn pax(self, records: &str) -> Self {
        self.entry("pax", EntryType::XHeader, "", records.len() as u64).contents(records.as_bytes())
    }

    pub(super) fn contents(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }

    pub(super) fn save(self, path: &Path) {
        std::fs::write(path, self.end()).unwrap();
    }
}
