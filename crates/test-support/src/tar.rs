//! Archives made by hand, so that a test can say what no honest tool would.

/// A ustar archive under construction.
#[derive(Clone, Debug, Default)]
pub struct Tar(Vec<u8>);

/// Bytes of a block.
const BLOCK: usize = 512;

/// The header fields that tests set.
#[derive(Clone, Debug)]
pub struct Header {
    /// The name, at most 100 bytes.
    pub name: Vec<u8>,
    /// The type flag.
    pub kind: u8,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The size field, whatever the content's length.
    pub size: u64,
    /// Seconds since the epoch.
    pub mtime: u64,
    /// A link's target, at most 100 bytes.
    pub link: Vec<u8>,
}

impl Header {
    /// An entry of this kind and name, mode 0644, owned by root.
    pub fn new(kind: u8, name: impl AsRef<[u8]>) -> Self {
        let name = name.as_ref().to_vec();
        Self { name, kind, mode: 0o644, uid: 0, gid: 0, size: 0, mtime: 1_000_000_000, link: Vec::new() }
    }

    /// Its block, with a right checksum.
    pub fn to_block(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, format!("{:07o}\0", self.mode).as_bytes());
        put(108, format!("{:07o}\0", self.uid).as_bytes());
        put(116, format!("{:07o}\0", self.gid).as_bytes());
        put(124, format!("{:011o}\0", self.size).as_bytes());
        put(136, format!("{:011o}\0", self.mtime).as_bytes());
        put(148, b"        ");
        put(156, &[self.kind]);
        put(157, &self.link);
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

impl Tar {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// A file, mode 0644.
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry(Header::new(b'0', name), content.as_ref())
    }

    /// A directory, mode 0755.
    pub fn dir(self, name: &str) -> Self {
        self.entry(Header { mode: 0o755, ..Header::new(b'5', name) }, b"")
    }

    /// A symbolic link.
    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(Header { mode: 0o777, link: target.into(), ..Header::new(b'2', name) }, b"")
    }

    /// A hard link.
    pub fn link(self, name: &str, target: &str) -> Self {
        self.entry(Header { link: target.into(), ..Header::new(b'1', name) }, b"")
    }

    /// Any entry; its size field becomes the content's length.
    pub fn entry(self, header: Header, content: &[u8]) -> Self {
        let size = content.len() as u64;
        self.raw(&Header { size, ..header }.to_block()).raw(content).pad()
    }

    /// A PAX record for the next entry.
    pub fn pax(self, key: &str, value: &str) -> Self {
        let rest = format!(" {key}={value}\n");
        // The length counts its own digits.
        let length =
            (1..=8).map(|digits| digits + rest.len()).find(|total| total.to_string().len() + rest.len() == *total);
        let record = format!("{}{rest}", length.unwrap_or_default());
        self.entry(Header::new(b'x', "pax"), record.as_bytes())
    }

    /// Bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Zeros up to the next block.
    pub fn pad(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    /// The archive with its end.
    pub fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }

    /// The archive without its end.
    pub fn unfinished(self) -> Vec<u8> {
        self.0
    }
}
