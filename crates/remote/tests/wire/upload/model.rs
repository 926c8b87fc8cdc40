//! A registry behind the scripted client: it keeps what it is sent, answers by the book, and goes wrong at one step as it is
//! told. It counts every byte that it is sent again after it has acknowledged it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex};

use gantri_core::{BlobBody, Limits};
use gantri_remote::{Remote, SendErrorKind};
use gantri_spec::wire::UploadRange;
use gantri_spec::{Descriptor, Digest, MediaType};

use crate::script::{Reply, Script, Seen, builder};

/// How a step goes wrong: how much of it reaches the registry, and what comes back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fault {
    pub(super) reaches: Reaches,
    pub(super) then: Then,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reaches {
    Nothing,
    /// Half of its body.
    Half,
    All,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Then {
    /// The connection is cut.
    Cut,
    /// Nothing comes: the process ends here.
    Hang,
    Status(u16),
}

pub(super) const fn cut(reaches: Reaches) -> Fault {
    Fault { reaches, then: Then::Cut }
}

pub(super) const fn hang(reaches: Reaches) -> Fault {
    Fault { reaches, then: Then::Hang }
}

type Faults = dyn Fn(&str, usize) -> Option<Fault> + Send + Sync;

/// What the registry holds.
pub(super) struct Model {
    state: Mutex<State>,
    /// By method, and how many of that method came before.
    faults: Box<Faults>,
    largest_body: usize,
    takes_at_once: bool,
}

#[derive(Default)]
struct State {
    sessions: HashMap<usize, Session>,
    blobs: HashMap<String, Vec<u8>>,
    opened: usize,
    steps: Vec<String>,
    sent_again: usize,
}

#[derive(Default)]
struct Session {
    bytes: Vec<u8>,
    acknowledged: usize,
}

enum Appended {
    Yes,
    Refused(u16),
}

impl Model {
    pub(super) fn new(faults: impl Fn(&str, usize) -> Option<Fault> + Send + Sync + 'static) -> Self {
        Self { state: Mutex::default(), faults: Box::new(faults), largest_body: usize::MAX, takes_at_once: false }
    }

    /// Says 413 to larger bodies.
    pub(super) fn largest_body(self, bytes: usize) -> Self {
        Self { largest_body: bytes, ..self }
    }

    /// Knows the single POST (end-4b).
    pub(super) fn takes_at_once(self) -> Self {
        Self { takes_at_once: true, ..self }
    }

    /// Behind a scripted client.
    pub(super) fn script(self) -> (Arc<Self>, Arc<Script>) {
        let model = Arc::new(self);
        let answering = Arc::clone(&model);
        (model, Script::new(move |seen, _| answering.answer(seen)))
    }

    pub(super) fn blob(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.with(|state| state.blobs.get(digest.as_str()).cloned())
    }

    /// Bytes that came again after they had been acknowledged.
    pub(super) fn sent_again(&self) -> usize {
        self.with(|state| state.sent_again)
    }

    pub(super) fn open_sessions(&self) -> usize {
        self.with(|state| state.sessions.len())
    }

    /// `PATCH 0-9`, in order.
    pub(super) fn steps(&self) -> Vec<String> {
        self.with(|state| state.steps.clone())
    }

    fn answer(&self, seen: &Seen) -> Reply {
        let method = seen.method.as_str();
        let fault = self.with(|state| {
            let before = state.steps.iter().filter(|step| step.starts_with(method)).count();
            let range = seen.header("content-range").map(|range| format!(" {range}"));
            state.steps.push(format!("{method}{}", range.unwrap_or_default()));
            (self.faults)(method, before)
        });
        let Some(Fault { reaches, then }) = fault else { return self.act(seen, seen.body.len()) };
        match reaches {
            Reaches::Nothing => {}
            Reaches::Half => {
                self.append(seen, seen.body.len() / 2);
            }
            Reaches::All => drop(self.act(seen, seen.body.len())),
        }
        match then {
            Then::Cut => Reply::Fault(SendErrorKind::Closed),
            Then::Hang => Reply::Hang,
            Then::Status(status) => Reply::status(status),
        }
    }

    fn act(&self, seen: &Seen, count: usize) -> Reply {
        let digest = |name: &str| seen.url.split(&format!("{name}=")).nth(1).map(|digest| digest.replace("%3A", ":"));
        match seen.method.as_str() {
            "HEAD" => {
                let asked: Digest = seen.url.rsplit('/').next().unwrap().parse().unwrap();
                match self.blob(&asked) {
                    Some(bytes) => Reply::status(200).header("content-length", bytes.len()),
                    None => Reply::status(404),
                }
            }
            "POST" => match digest("digest").filter(|_| self.takes_at_once) {
                Some(digest) => {
                    self.with(|state| state.blobs.insert(digest.clone(), seen.body.to_vec()));
                    Reply::status(201).header("docker-content-digest", digest)
                }
                None => self.with(|state| {
                    state.opened += 1;
                    state.sessions.insert(state.opened, Session::default());
                    let location = format!("/v2/a/b/blobs/uploads/{}?state=x%2Fy", state.opened);
                    Reply::status(202).header("location", location)
                }),
            },
            _ if seen.body.len() > self.largest_body => Reply::status(413),
            "DELETE" => self.with(|state| match state.sessions.remove(&id(seen)) {
                Some(_) => Reply::status(204),
                None => Reply::status(404),
            }),
            "GET" => self.stands(seen, 204),
            "PATCH" => match self.append(seen, count) {
                Appended::Yes => self.stands(seen, 202),
                Appended::Refused(status) => Reply::status(status),
            },
            _ => match self.append(seen, count) {
                Appended::Yes => self.commit(seen, &digest("digest").unwrap()),
                Appended::Refused(status) => Reply::status(status),
            },
        }
    }

    fn append(&self, seen: &Seen, count: usize) -> Appended {
        self.with(|state| {
            let Some(session) = state.sessions.get_mut(&id(seen)) else { return Appended::Refused(404) };
            let range = seen.header("content-range").map(|range| range.parse::<UploadRange>().unwrap());
            let start = range.map_or(session.bytes.len(), |range| usize::try_from(range.start).unwrap());
            state.sent_again += session.acknowledged.saturating_sub(start).min(count);
            if start != session.bytes.len() {
                return Appended::Refused(416);
            }
            session.bytes.extend_from_slice(&seen.body[..count]);
            Appended::Yes
        })
    }

    /// Tells how much there is: from here on that is acknowledged.
    fn stands(&self, seen: &Seen, status: u16) -> Reply {
        self.with(|state| {
            let Some(session) = state.sessions.get_mut(&id(seen)) else { return Reply::status(404) };
            session.acknowledged = session.bytes.len();
            Reply::status(status).header("range", UploadRange::received(session.bytes.len() as u64))
        })
    }

    fn commit(&self, seen: &Seen, digest: &str) -> Reply {
        self.with(|state| {
            let Some(session) = state.sessions.remove(&id(seen)) else { return Reply::status(404) };
            if Digest::of(&session.bytes).as_str() != digest {
                return Reply::status(400).body(r#"{"errors":[{"code":"DIGEST_INVALID"}]}"#);
            }
            state.blobs.insert(digest.to_owned(), session.bytes);
            Reply::status(201).header("docker-content-digest", digest)
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap())
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Model")
    }
}

fn id(seen: &Seen) -> usize {
    seen.url.split("/uploads/").nth(1).unwrap().split('?').next().unwrap().parse().unwrap()
}

/// 100 KiB without a repeated stretch.
pub(super) fn data() -> Vec<u8> {
    DATA.clone()
}

pub(super) fn blob() -> Descriptor {
    BLOB.clone()
}

static DATA: LazyLock<Vec<u8>> = LazyLock::new(|| (0..25 * 1024_u32).flat_map(u32::to_be_bytes).collect());
static BLOB: LazyLock<Descriptor> = LazyLock::new(|| Descriptor::of(MediaType::OCTET_STREAM, &DATA));

/// A body that can be opened as often as needed, in uneven chunks.
pub(super) fn replayable() -> BlobBody {
    BlobBody::reopen(|offset| {
        let rest = &DATA[usize::try_from(offset).unwrap()..];
        let chunks: Vec<_> = rest.chunks(7000).map(|chunk| Ok(chunk.to_vec().into())).collect();
        Box::pin(futures_util::stream::iter(chunks))
    })
}

pub(super) fn once() -> BlobBody {
    let chunks: Vec<_> = DATA.chunks(7000).map(|chunk| Ok(chunk.to_vec().into())).collect();
    BlobBody::once(Box::pin(futures_util::stream::iter(chunks)))
}

/// A process of its own, as far as the registry can tell: chunks of 32 KiB are held in memory, and what is larger than
/// `at_once` goes in a session.
pub(super) fn process(script: &Arc<Script>, at_once: u64) -> Remote {
    let mut limits = Limits::default();
    (limits.chunk, limits.monolithic_put) = (32 << 10, at_once);
    builder(script).limits(limits).build().unwrap()
}
