//! Archives for tests, well-formed or broken at will.

/// One header, to be written as it is.
#[derive(Clone, Debug)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) link: Vec<u8>,
    pub(super) flag: u8,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: i64,
    pub(super) device: (u32, u32),
    /// Instead of the length of the contents.
    pub(super) size: Option<u64>,
    pub(super) magic: [u8; 8],
}

pub(super) const POSIX: [u8; 8] = *b"ustar\x0000";
pub(super) const GNU: [u8; 8] = *b"ustar  \0";

impl Header {
    /// Belongs to whoever runs the tests, so that an ordinary user can restore it.
    pub(super) fn new(flag: u8, name: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            link: Vec::new(),
            flag,
            mode: if flag == b'5' { 0o755 } else { 0o644 },
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            mtime: 1_000_000_000,
            device: (0, 0),
            size: None,
            magic: POSIX,
        }
    }

    pub(super) fn link(mut self, link: impl AsRef<[u8]>) -> Self {
        self.link = link.as_ref().to_vec();
        self
    }

    pub(super) fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub(super) fn owner(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    pub(super) fn mtime(mut self, mtime: i64) -> Self {
        self.mtime = mtime;
        self
    }

    pub(super) fn device(mut self, major: u32, minor: u32) -> Self {
        self.device = (major, minor);
        self
    }

    pub(super) fn size(mut self, size: u64) -> Self {
        self.size = Some(size);
        self
    }

    pub(super) fn magic(mut self, magic: [u8; 8]) -> Self {
        self.magic = magic;
        self
    }

    /// The block, with a right checksum.
    pub(super) fn block(&self, length: u64) -> [u8; 512] {
        let mut block = [0; 512];
        put(&mut block, 0, &self.name);
        put(&mut block, 100, format!("{:07o}", self.mode).as_bytes());
        put_number(&mut block[108..116], i64::from(self.uid));
        put_number(&mut block[116..124], i64::from(self.gid));
        put_number(&mut block[124..136], i64::try_from(self.size.unwrap_or(length)).unwrap());
        put_number(&mut block[136..148], self.mtime);
        block[156] = self.flag;
        put(&mut block, 157, &self.link);
        put(&mut block, 257, &self.magic);
        if matches!(self.flag, b'3' | b'4') {
            put(&mut block, 329, format!("{:07o}", self.device.0).as_bytes());
            put(&mut block, 337, format!("{:07o}", self.device.1).as_bytes());
        }
        seal(&mut block);
        block
    }
}

/// Writes the checksum that the block has as it is now.
pub(super) fn seal(block: &mut [u8; 512]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(block, 148, format!("{sum:06o}\0 ").as_bytes());
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Octal, or base-256 where octal can't say it.
fn put_number(field: &mut [u8], value: i64) {
    let digits = format!("{value:0width$o}", width = field.len() - 1);
    if value >= 0 && digits.len() < field.len() {
        return put(field, 0, digits.as_bytes());
    }
    let bytes = i128::from(value).to_be_bytes();
    let length = field.len();
    field.copy_from_slice(&bytes[16 - length..]);
    field[0] |= 0x80;
}

/// An archive being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Tarball(Vec<u8>);

impl Tarball {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn entry(mut self, header: &Header, contents: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(&header.block(contents.as_ref().len() as u64));
        self.padded(contents.as_ref())
    }

    pub(super) fn file(self, name: impl AsRef<[u8]>, contents: impl AsRef<[u8]>) -> Self {
        self.entry(&Header::new(b'0', name), contents)
    }

    pub(super) fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(&Header::new(b'5', name), "")
    }

    pub(super) fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(&Header::new(b'2', name).link(target), "")
    }

    pub(super) fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(&Header::new(b'1', name).link(target), "")
    }

    /// Records for the next entry.
    pub(super) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.raw_pax(records.iter().flat_map(|(key, value)| record(key, value)).collect::<Vec<u8>>())
    }

    pub(super) fn raw_pax(self, data: impl AsRef<[u8]>) -> Self {
        self.entry(&Header::new(b'x', "PaxHeaders/x"), data)
    }

    pub(super) fn global(self, records: &[(&str, &[u8])]) -> Self {
        let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        self.entry(&Header::new(b'g', "PaxHeaders/g"), data)
    }

    /// A GNU long name (`L`) or long link (`K`) for the next entry.
    pub(super) fn long(self, flag: u8, text: impl AsRef<[u8]>) -> Self {
        let data = [text.as_ref(), b"\0"].concat();
        self.entry(&Header::new(flag, "././@LongLink").magic(GNU), data)
    }

    pub(super) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// The archive as it stands, without an end.
    pub(super) fn unfinished(self) -> Vec<u8> {
        self.0
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.raw([0; 1024]).0
    }

    fn padded(mut self, contents: &[u8]) -> Self {
        self.0.extend_from_slice(contents);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }
}

/// `LENGTH KEY=VALUE\n`, the length counting itself.
pub(super) fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length =
        (1..=20).map(|digits| rest + digits).find(|length| length.to_string().len() + rest == *length).unwrap();
    let mut record = format!("{length} {key}=").into_bytes();
    record.extend_from_slice(value);
    record.push(b'\n');
    record
}
