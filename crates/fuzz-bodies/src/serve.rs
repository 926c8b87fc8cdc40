//! The server: requests as anybody may send them, and an upload against a model of it.

use std::sync::Arc;

use bytes::Bytes;
use gantri_core::Memory;
use gantri_server::{RegistryService, ServerOptions};
use gantri_spec::Digest;
use gantri_spec::wire::ErrorBody;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

use crate::runtime::block_on;

/// Requests that one input may make.
const REQUESTS: usize = 12;
/// Ends a request, so that bodies may hold anything else.
const END: u8 = 0x1e;

/// Requests to one server, one after the other: `METHOD TARGET`, a header a line, an empty line, the body. In the target,
/// `{digest}` is that of the body, `{upload}` where the last upload goes on.
pub fn requests(data: &[u8]) {
    block_on(async {
        let mut server = Server::new();
        for said in data.split(|byte| *byte == END).take(REQUESTS) {
            if let Some(request) = request(said, &server.upload) {
                server.ask(request).await;
            }
        }
    });
}

fn request(said: &[u8], upload: &str) -> Option<Request<Bytes>> {
    let end = said.windows(2).position(|window| window == b"\n\n");
    let (head, body) = end.map_or((said, &[][..]), |end| (&said[..end], &said[end + 2..]));
    let mut lines = std::str::from_utf8(head).ok()?.lines();
    let (method, target) = lines.next()?.split_once(' ')?;
    let target = target.replace("{digest}", Digest::of(body).as_str()).replace("{upload}", upload);
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        request = request.header(name.parse::<HeaderName>().ok()?, value.parse::<HeaderValue>().ok()?);
    }
    request.body(Bytes::copy_from_slice(body)).ok()
}

struct Server {
    service: RegistryService,
    /// Where the last upload goes on.
    upload: String,
}

impl Server {
    fn new() -> Self {
        let service = RegistryService::new(Arc::new(Memory::new()), ServerOptions::default());
        Self { service, upload: String::new() }
    }

    /// What is answered, after a look at what all answers must be like.
    async fn ask(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        let method = request.method().clone();
        let answer = self.service.call(request.map(Full::new)).await.expect("a service that never fails");
        let (head, body) = answer.into_parts();
        let body = body.collect().await.expect("a body from memory").to_bytes();
        let answer = Response::from_parts(head, body);
        is_fit(&method, &answer);
        if let Some(location) = header(&answer, "location").filter(|location| location.contains("/uploads/")) {
            location.clone_into(&mut self.upload);
        }
        answer
    }
}

fn is_fit(method: &Method, answer: &Response<Bytes>) {
    let (status, body) = (answer.status(), answer.body());
    assert!(!status.is_server_error() && !status.is_informational(), "{answer:?}");
    if method == Method::HEAD {
        assert!(body.is_empty(), "{answer:?}");
    } else if status.is_client_error() {
        assert!(ErrorBody::parse(body).is_some(), "{answer:?}");
    } else if let Some(length) = header(answer, "content-length") {
        assert_eq!(length, body.len().to_string());
    }
    // R9: the server names no host but the one it was reached by.
    assert!(header(answer, "location").is_none_or(|location| location.starts_with("/v2/")), "{answer:?}");
    let digest = header(answer, "docker-content-digest").and_then(|digest| digest.parse::<Digest>().ok());
    if let Some(digest) = digest.filter(|_| status == 200 && method == Method::GET) {
        assert_eq!(digest.algorithm().digest(body), Some(digest));
    }
}

fn header<'a>(answer: &'a Response<Bytes>, name: &str) -> Option<&'a str> {
    assert!(answer.headers().get_all(name).iter().count() <= 1, "{name} more than once");
    answer.headers().get(name).map(|value| value.to_str().expect("a header of ours"))
}

/// Steps of one upload (R4): what is acknowledged stays, what is refused leaves no trace, what has ended is unknown to
/// every verb. Each step is a byte that says what is done, one that says how many bytes are sent, and those.
pub fn upload(data: &[u8]) {
    block_on(async {
        let mut server = Server::new();
        let start = Request::post("/v2/a/blobs/uploads/").body(Bytes::new()).expect("a request");
        assert_eq!(server.ask(start).await.status(), 202);
        let mut model = Model::default();
        let mut bytes = data.iter().copied();
        for _ in 0..REQUESTS {
            let (Some(code), Some(length)) = (bytes.next(), bytes.next()) else { break };
            let chunk: Vec<u8> = bytes.by_ref().take(usize::from(length)).collect();
            let step = Step { verb: code % 5, place: code / 5 % 4, chunk };
            let answer = server.ask(model.request(&step, &server.upload)).await;
            let range = header(&answer, "range").map(str::to_owned);
            assert_eq!((answer.status().as_u16(), range), model.step(step), "{data:?}");
        }
        let uri = format!("/v2/a/blobs/{}", Digest::of(&model.bytes));
        let blob = server.ask(Request::get(uri).body(Bytes::new()).expect("a request")).await;
        assert_eq!((blob.status() == 200).then(|| blob.body().to_vec()), model.blob);
    });
}

struct Step {
    verb: u8,
    place: u8,
    chunk: Vec<u8>,
}

const WRITE: u8 = 0;
const STATUS: u8 = 1;
const COMMIT: u8 = 2;
const COMMIT_WRONG: u8 = 3;

/// Where a chunk says that it belongs: nowhere, where the upload stands, one byte before, one behind.
const UNSAID: u8 = 0;
const BEFORE: u8 = 2;
const BEHIND: u8 = 3;

/// What the server must know of the upload: its bytes until it ends, and the blob that came of it.
#[derive(Default)]
struct Model {
    bytes: Vec<u8>,
    has_ended: bool,
    blob: Option<Vec<u8>>,
}

impl Model {
    /// What must be answered, and where the upload must stand then.
    fn step(&mut self, step: Step) -> (u16, Option<String>) {
        if self.has_ended {
            return (404, None);
        }
        match step.verb {
            WRITE | COMMIT if self.start(&step).is_some_and(|start| start != self.bytes.len()) => {
                (416, Some(self.range()))
            }
            WRITE => {
                self.bytes.extend(step.chunk);
                (202, Some(self.range()))
            }
            COMMIT => {
                self.bytes.extend(step.chunk);
                (self.has_ended, self.blob) = (true, Some(self.bytes.clone()));
                (201, None)
            }
            STATUS => (204, Some(self.range())),
            verb => {
                self.has_ended = true;
                (if verb == COMMIT_WRONG { 400 } else { 204 }, None)
            }
        }
    }

    fn request(&self, step: &Step, location: &str) -> Request<Bytes> {
        let (method, digest) = match step.verb {
            WRITE => (Method::PATCH, None),
            STATUS => (Method::GET, None),
            COMMIT => (Method::PUT, Some(Digest::of(&[&self.bytes[..], &step.chunk].concat()))),
            COMMIT_WRONG => (Method::PUT, Some(Digest::of(b"what no upload of this target ends as"))),
            _ => (Method::DELETE, None),
        };
        let query = digest.map(|digest| format!("?digest={digest}")).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(format!("{location}{query}"));
        if let Some(start) = self.start(step) {
            request = request.header("content-range", format!("{start}-{}", start + step.chunk.len() - 1));
        }
        let body = if matches!(step.verb, WRITE | COMMIT) { step.chunk.clone() } else { Vec::new() };
        request.body(body.into()).expect("a request")
    }

    /// Only a chunk that is not empty can say where it belongs.
    fn start(&self, step: &Step) -> Option<usize> {
        if step.place == UNSAID || step.chunk.is_empty() || !matches!(step.verb, WRITE | COMMIT) {
            return None;
        }
        Some(match step.place {
            BEFORE => self.bytes.len().saturating_sub(1),
            BEHIND => self.bytes.len() + 1,
            _ => self.bytes.len(),
        })
    }

    fn range(&self) -> String {
        format!("0-{}", self.bytes.len().saturating_sub(1))
    }
}
