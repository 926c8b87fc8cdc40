//! R4: an upload against a model of it, by random steps: what is acknowledged stays, what is refused leaves no trace, and
//! what has ended is unknown to every verb.

use std::sync::Arc;

use bytes::Bytes;
use gantri_core::Memory;
use gantri_server::{RegistryService, ServerOptions};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use tower_service::Service;

use crate::harness::digest;

/// Where a chunk says that it belongs.
#[derive(Clone, Copy, Debug)]
enum Place {
    Unsaid,
    InOrder,
    Behind,
    Ahead,
    Nonsense,
}

#[derive(Clone, Debug)]
enum Step {
    Chunk(Place, Vec<u8>),
    /// A chunk whose range is longer than its body.
    Lie,
    Status,
    Commit(Place, Vec<u8>),
    CommitWrong(Vec<u8>),
    Cancel,
}

/// What the server must know of the upload: its bytes until it ends, and the blob that came of it.
#[derive(Debug, Default)]
struct Model {
    bytes: Vec<u8>,
    has_ended: bool,
    blob: Option<Vec<u8>>,
}

/// What must be answered, and where the upload must stand then.
type Expected = (u16, Option<String>);

impl Model {
    fn step(&mut self, step: &Step) -> Expected {
        if self.has_ended {
            return (404, None);
        }
        match step {
            Step::Chunk(place, chunk) if self.fits(*place, chunk) => {
                self.bytes.extend_from_slice(chunk);
                (202, Some(self.range()))
            }
            Step::Commit(place, chunk) if self.fits(*place, chunk) => {
                self.bytes.extend_from_slice(chunk);
                self.has_ended = true;
                self.blob = Some(self.bytes.clone());
                (201, None)
            }
            Step::Chunk(..) | Step::Commit(..) => (416, Some(self.range())),
            Step::Lie => (400, None),
            Step::Status => (204, Some(self.range())),
            Step::CommitWrong(_) => {
                self.has_ended = true;
                (400, None)
            }
            Step::Cancel => {
                self.has_ended = true;
                (204, None)
            }
        }
    }

    fn fits(&self, place: Place, chunk: &[u8]) -> bool {
        match self.start(place) {
            Start::Unsaid => true,
            Start::At(start) => start == self.bytes.len() && !chunk.is_empty(),
            Start::Nonsense => false,
        }
    }

    fn start(&self, place: Place) -> Start {
        match place {
            Place::Unsaid => Start::Unsaid,
            Place::InOrder => Start::At(self.bytes.len()),
            Place::Behind => Start::At(self.bytes.len().saturating_sub(1)),
            Place::Ahead => Start::At(self.bytes.len() + 1),
            Place::Nonsense => Start::Nonsense,
        }
    }

    fn range(&self) -> String {
        format!("0-{}", self.bytes.len().saturating_sub(1))
    }
}

enum Start {
    Unsaid,
    At(usize),
    Nonsense,
}

/// An upload at a server.
struct Upload {
    service: RegistryService,
    location: String,
}

impl Upload {
    async fn start() -> Self {
        let mut service = RegistryService::new(Arc::new(Memory::new()), ServerOptions::default());
        let started = send(&mut service, "POST", "/v2/a/blobs/uploads/", None, vec![]).await;
        let location = started.headers()["location"].to_str().unwrap().to_owned();
        Self { service, location }
    }

    async fn step(&mut self, step: &Step, model: &Model) -> Expected {
        let whole = |chunk: &[u8]| digest(&[&model.bytes, chunk].concat());
        let (method, query, place, body) = match step {
            Step::Chunk(place, chunk) => ("PATCH", String::new(), *place, chunk.clone()),
            Step::Commit(place, chunk) => ("PUT", format!("?digest={}", whole(chunk)), *place, chunk.clone()),
            Step::CommitWrong(chunk) => ("PUT", format!("?digest={}", digest(b"other")), Place::Unsaid, chunk.clone()),
            Step::Lie => ("PATCH", String::new(), Place::InOrder, b"lie".to_vec()),
            Step::Status => ("GET", String::new(), Place::Unsaid, vec![]),
            Step::Cancel => ("DELETE", String::new(), Place::Unsaid, vec![]),
        };
        let length = if matches!(step, Step::Lie) { 10 } else { body.len() };
        let range = match model.start(place) {
            Start::Unsaid => None,
            Start::At(start) => Some(format!("{start}-{}", (start + length).wrapping_sub(1))),
            Start::Nonsense => Some("bytes".to_owned()),
        };
        let target = format!("{}{query}", self.location);
        let answer = send(&mut self.service, method, &target, range.as_deref(), body).await;
        let range = answer.headers().get("range").map(|range| range.to_str().unwrap().to_owned());
        (answer.status().as_u16(), range)
    }

    /// The blob of these bytes, if it can be had.
    async fn blob(&mut self, bytes: &[u8]) -> Option<Bytes> {
        let target = format!("/v2/a/blobs/{}", digest(bytes));
        let answer = send(&mut self.service, "GET", &target, None, vec![]).await;
        if answer.status() != 200 {
            return None;
        }
        Some(answer.into_body().collect().await.unwrap().to_bytes())
    }
}

async fn send(
    service: &mut RegistryService,
    method: &str,
    target: &str,
    range: Option<&str>,
    body: Vec<u8>,
) -> Response<gantri_server::ResponseBody> {
    let mut request = Request::builder().method(method).uri(target);
    if let Some(range) = range {
        request = request.header("content-range", range);
    }
    service.call(request.body(Full::new(Bytes::from(body))).unwrap()).await.unwrap()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = prop_oneof![
        4 => Just(Place::InOrder),
        2 => Just(Place::Unsaid),
        1 => Just(Place::Behind),
        1 => Just(Place::Ahead),
        1 => Just(Place::Nonsense),
    ];
    let some = || prop::collection::vec(any::<u8>(), 1..6);
    let step = prop_oneof![
        8 => (place.clone(), some()).prop_map(|(place, chunk)| Step::Chunk(place, chunk)),
        1 => Just(Step::Chunk(Place::Unsaid, vec![])),
        1 => Just(Step::Lie),
        2 => Just(Step::Status),
        1 => (place, some()).prop_map(|(place, chunk)| Step::Commit(place, chunk)),
        1 => Just(Step::Commit(Place::Unsaid, vec![])),
        1 => some().prop_map(Step::CommitWrong),
        1 => Just(Step::Cancel),
    ];
    prop::collection::vec(step, 1..14)
}

proptest! {
    #[test]
    fn an_upload_is_what_its_model_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut upload, mut model) = (Upload::start().await, Model::default());
            for step in &steps {
                let answered = upload.step(step, &model).await;
                let expected = model.step(step);
                prop_assert_eq!(answered, expected, "{:?}", step);
            }
            let kept = upload.blob(&model.bytes).await.map(|blob| blob.to_vec());
            prop_assert_eq!(kept, model.blob);
            Ok(())
        })?;
    }
}
