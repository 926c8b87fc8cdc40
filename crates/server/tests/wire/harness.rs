//! A server on a loopback port, and a client that hides nothing: bytes out, bytes in.

use std::net::SocketAddr;
use std::sync::Arc;

use gantri_core::{BlobBody, Memory, Push};
use gantri_server::{Server, ServerOptions};
use gantri_spec::{Descriptor, Digest, ImageManifest, MediaType, RawManifest, RepositoryName, Tag};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A server that ends with the test, and the memory behind it.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) memory: Memory,
    _server: JoinSet<()>,
}

pub(crate) async fn serve() -> Served {
    serve_with(ServerOptions::default()).await
}

pub(crate) async fn serve_with(options: ServerOptions) -> Served {
    serve_over(Memory::new(), options).await
}

pub(crate) async fn serve_over(memory: Memory, options: ServerOptions) -> Served {
    let server = Server::bind(([127, 0, 0, 1], 0).into(), Arc::new(memory.clone()), options).await.unwrap();
    let address = server.local_addr();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { server.run(std::future::pending()).await.unwrap() });
    Served { address, memory, _server: tasks }
}

impl Served {
    /// Sends a request with a body of known length (none for `""` but where a method wants one) and reads the answer.
    pub(crate) async fn ask(&self, request: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let body = body.as_ref();
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head(request, headers, body.len()).as_bytes()).await.unwrap();
        // An early answer may close the connection under the rest of the body.
        let _ = stream.write_all(body).await;
        read_answer(&mut stream, request.starts_with("HEAD")).await
    }

    /// `ask` without headers or body.
    pub(crate) async fn get(&self, request: &str) -> Answer {
        self.ask(request, &[], "").await
    }

    /// Sends bytes as they are.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    /// Starts an upload and gives its location.
    pub(crate) async fn upload(&self, repo: &str) -> String {
        let answer = self.get(&format!("POST /v2/{repo}/blobs/uploads/")).await;
        assert_eq!(answer.status, 202);
        answer.header("location").to_owned()
    }

    /// Puts a blob behind the server's back.
    pub(crate) async fn blob(&self, repo: &str, bytes: &'static [u8]) -> Descriptor {
        let blob = Descriptor::of(MediaType::OCTET_STREAM, bytes);
        self.memory.put_blob(&name(repo), &blob, BlobBody::bytes(bytes)).await.unwrap();
        blob
    }

    /// Puts an image with one layer behind the server's back.
    pub(crate) async fn image(&self, repo: &str, tags: &[&str]) -> RawManifest {
        let manifest = image(self.blob(repo, b"{}").await, self.blob(repo, b"layer").await);
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        self.memory.put_manifest(&name(repo), &manifest, &tags).await.unwrap();
        manifest
    }
}

/// A manifest of an image with this config and this layer.
pub(crate) fn image(config: Descriptor, layer: Descriptor) -> RawManifest {
    ImageManifest::new(config, vec![layer]).to_raw()
}

pub(crate) fn name(repo: &str) -> RepositoryName {
    repo.parse().unwrap()
}

/// The digest of these bytes.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    Digest::of(bytes)
}

pub(crate) fn head(request: &str, headers: &[(&str, &str)], length: usize) -> String {
    let mut lines = vec![format!("{request} HTTP/1.1"), "host: test".to_owned(), "connection: close".to_owned()];
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    if length > 0 || request.starts_with('P') {
        lines.push(format!("content-length: {length}"));
    }
    lines.join("\r\n") + "\r\n\r\n"
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A header's one value, `""` if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        assert!(self.headers.get_all(name).iter().count() <= 1, "{name} more than once");
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    /// The code of an error body, which must be shaped as the spec wants it.
    pub(crate) fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        let body = self.json();
        assert!(!body["errors"][0]["message"].as_str().unwrap().is_empty());
        body["errors"][0]["code"].as_str().unwrap().to_owned()
    }
}

/// Reads one answer up to the end of the connection.
pub(crate) async fn read_answer(stream: &mut TcpStream, to_head: bool) -> Answer {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).await;
    let answer =
        parse_answer(&bytes).unwrap_or_else(|| panic!("no answer ({end:?}): {:?}", String::from_utf8_lossy(&bytes)));
    if to_head || answer.status == 204 {
        assert!(answer.body.is_empty(), "a body where none may be: {answer:?}");
    } else {
        assert_eq!(answer.header("content-length"), answer.body.len().to_string(), "{answer:?}");
    }
    if answer.header("content-type") != "text/html" {
        assert_eq!(answer.header("docker-distribution-api-version"), "registry/2.0");
    }
    answer
}

pub(crate) fn parse_answer(bytes: &[u8]) -> Option<Answer> {
    let split = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut lines = std::str::from_utf8(&bytes[..split]).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ")?;
        headers.append(name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?);
    }
    Some(Answer { status, headers, body: bytes[split + 4..].to_vec() })
}
