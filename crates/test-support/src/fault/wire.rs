//! HTTP/1.1 as bytes: heads are kept as lines, bodies as their framing says. Nothing is checked that need not be: what is
//! wrong on purpose has to pass.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The first line and the headers of a message.
#[derive(Clone, Debug)]
pub(super) struct Head {
    pub(super) first: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Head {
    /// An answer's head of this status.
    pub(super) fn answer(status: u16) -> Self {
        Self { first: format!("HTTP/1.1 {status} x"), headers: Vec::new() }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The n-th word of the first line.
    pub(super) fn word(&self, n: usize) -> &str {
        self.first.split(' ').nth(n).unwrap_or_default()
    }

    /// The status, of an answer.
    pub(super) fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or_default()
    }

    pub(super) fn set_status(&mut self, status: u16) {
        self.first = format!("HTTP/1.1 {status} x");
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.headers.push((name.to_owned(), value.into()));
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let headers: String = self.headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        format!("{}\r\n{headers}\r\n", self.first).into_bytes()
    }

    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        let first = lines.next().unwrap_or_default().to_owned();
        let split = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        Self { first, headers: lines.filter_map(split).collect() }
    }
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    /// With the connection.
    Close,
}

impl Framing {
    /// What a request says of its body.
    pub(super) fn of_request(head: &Head) -> Self {
        match Self::said(head) {
            Self::Close => Self::Length(0),
            said => said,
        }
    }

    /// What an answer says of its body.
    pub(super) fn of_answer(method: &str, head: &Head) -> Self {
        match head.status() {
            100..=199 | 204 | 304 => Self::Length(0),
            _ if method == "HEAD" => Self::Length(0),
            _ => Self::said(head),
        }
    }

    fn said(head: &Head) -> Self {
        if head.header("transfer-encoding").is_some() {
            return Self::Chunked;
        }
        head.header("content-length").and_then(|length| length.parse().ok()).map_or(Self::Close, Self::Length)
    }
}

/// What comes in, a message at a time.
#[derive(Debug)]
pub(super) struct Incoming<R> {
    from: R,
    buffer: BytesMut,
}

/// As much as is read at a time.
const READ: usize = 256 << 10;

/// More is no head.
const HEAD: usize = 256 << 10;

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::new() }
    }

    pub(super) fn into_inner(self) -> R {
        self.from
    }

    /// The next head; `None` at the end of the connection.
    pub(super) async fn head(&mut self) -> io::Result<Option<Head>> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = Head::parse(&self.buffer[..end]);
                self.buffer.advance(end + 4);
                return Ok(Some(head));
            }
            if self.buffer.len() > HEAD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a head without an end"));
            }
            if self.fill().await? == 0 {
                return if self.buffer.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Some bytes, at most so many; none at the end of the connection.
    pub(super) async fn some(&mut self, most: u64) -> io::Result<Bytes> {
        if self.buffer.is_empty() && most > 0 {
            self.fill().await?;
        }
        let count = usize::try_from(most).unwrap_or(usize::MAX).min(self.buffer.len());
        Ok(self.buffer.split_to(count).freeze())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.advance(end + 2);
                return Ok(line);
            }
            if self.fill().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ);
        self.from.read_buf(&mut self.buffer).await
    }
}

/// A body on its way in.
#[derive(Debug)]
pub(super) struct Body {
    framing: Framing,
    /// Of the whole, or of the chunk.
    left: u64,
    over: bool,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        Self { framing, left, over: framing == Framing::Length(0) }
    }

    /// Whether all of it was read.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The next bytes of it, at most so many; `None` at its end.
    ///
    /// # Errors
    /// If the connection ends first.
    pub(super) async fn next<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut Incoming<R>,
        most: u64,
    ) -> io::Result<Option<Bytes>> {
        if !self.over && self.framing == Framing::Chunked && self.left == 0 {
            self.left = u64::from_str_radix(from.line().await?.split(';').next().unwrap_or_default().trim(), 16)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if self.left == 0 {
                while !from.line().await?.is_empty() {}
                self.over = true;
            }
        }
        if self.over {
            return Ok(None);
        }
        let open_end = self.framing == Framing::Close;
        let bytes = from.some(if open_end { most } else { self.left.min(most) }).await?;
        match (bytes.is_empty(), open_end) {
            (true, true) => {
                self.over = true;
                return Ok(None);
            }
            (true, false) => return Err(io::ErrorKind::UnexpectedEof.into()),
            (false, true) => return Ok(Some(bytes)),
            (false, false) => self.left -= bytes.len() as u64,
        }
        if self.left == 0 {
            match self.framing {
                Framing::Chunked => drop(from.line().await?),
                _ => self.over = true,
            }
        }
        Ok(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bodies(wire: &str, framing: Framing) -> io::Result<String> {
        let mut incoming = Incoming::new(wire.as_bytes());
        let mut body = Body::new(framing);
        let mut text = String::new();
        while let Some(bytes) = body.next(&mut incoming, 3).await? {
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert!(body.is_over());
        Ok(text)
    }

    #[tokio::test]
    async fn bodies_end_where_their_framing_says() {
        let cases = [
            ("helloX", Framing::Length(5), "hello"),
            ("X", Framing::Length(0), ""),
            ("hello", Framing::Close, "hello"),
            ("4\r\nhell\r\n1;x=y\r\no\r\n0\r\na: b\r\n\r\nX", Framing::Chunked, "hello"),
        ];
        for (wire, framing, text) in cases {
            assert_eq!(bodies(wire, framing).await.unwrap(), text, "{wire}");
        }
        assert!(bodies("hell", Framing::Length(5)).await.is_err());
        assert!(bodies("4\r\nhe", Framing::Chunked).await.is_err());
    }

    #[tokio::test]
    async fn heads_come_one_after_the_other() {
        let mut incoming = Incoming::new(&b"GET / HTTP/1.1\r\nA: b\r\n\r\nHTTP/1.1 404 x\r\n\r\n"[..]);
        let first = incoming.head().await.unwrap().unwrap();
        assert_eq!((first.word(0), first.header("a")), ("GET", Some("b")));
        assert_eq!(incoming.head().await.unwrap().unwrap().status(), 404);
        assert!(incoming.head().await.unwrap().is_none());
    }
}
