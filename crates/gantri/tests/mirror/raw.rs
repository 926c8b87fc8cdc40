//! Requests written by hand, for what no client of ours would send or show.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer, byte for byte.
#[derive(Debug)]
pub(crate) struct Answer {
    /// 0 if the connection was cut before there was one.
    pub(crate) status: u16,
    /// The head, in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
    /// Bytes of the body, which may be no text.
    length: usize,
}

impl Answer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The status, and the code of the error that the body tells.
    pub(crate) fn verdict(&self) -> (u16, &str) {
        let code = self.body.split_once(r#""code":""#).and_then(|(_, rest)| rest.split('"').next());
        (self.status, code.unwrap_or_default())
    }

    /// Whether the body is as long as the head said.
    pub(crate) fn is_whole(&self) -> bool {
        self.header("content-length") == Some(self.length.to_string().as_str())
    }
}

/// One request on a connection of its own: `line` is method and target, `headers` end with `\r\n` each.
pub(crate) async fn ask(host: &str, line: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(host).await.unwrap();
    let length = body.len();
    let head =
        format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut in the middle of a body is an answer too.
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = end.map_or((&b""[..], &b""[..]), |end| (&answer[..end], &answer[end + 4..]));
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let status = head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
    Answer { status, head, body: String::from_utf8_lossy(body).into_owned(), length: body.len() }
}
