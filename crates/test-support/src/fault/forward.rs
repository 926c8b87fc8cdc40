//! A request handed on to the registry behind, and its answer handed back, with what goes wrong on the way.

use std::io;
use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use gantri_spec::Hasher;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, split};
use tokio::time::sleep;

use super::canned;
use super::link::Resettable;
use super::mode::{ErrorPage, FramingMode, Mode, UploadMode};
use super::serve::{Asked, Conversation, Ending};
use super::shared::Shared;
use super::wire::{Body, Framing, Head, Incoming};
use super::{change, record};

/// What befalls a body on its way.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    stop: Option<(u64, Ending)>,
    flip: Option<u64>,
    dribble: bool,
}

impl Cut {
    /// What a mode does to a body of this length, if that is known: a shorter one is cut in its middle.
    fn of(mode: Option<Mode>, length: Option<u64>, shared: &Shared) -> Self {
        let within = |at: u64| length.map_or(at, |length| at.min(length / 2));
        let stop = |at, ending| Self { stop: Some((within(at), ending)), ..Self::default() };
        match mode {
            Some(Mode::TruncateAt(at)) => stop(at, Ending::Close),
            Some(Mode::ResetAt(at)) => stop(at, Ending::Reset),
            Some(Mode::StallAt(at)) => stop(at, Ending::Hold),
            Some(Mode::FlipAt(at)) => Self { flip: Some(within(at)), ..Self::default() },
            Some(Mode::Dribble) => Self { dribble: true, ..Self::default() },
            Some(Mode::CutBetween(least, most)) => {
                let (at, coin) = (shared.draw(least, most), shared.draw(0, 2));
                let ending = if coin == 0 { Ending::Close } else { Ending::Reset };
                Self { stop: Some((at, ending)), ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    /// How many bytes may be taken at once, when so many have passed.
    fn room(&self, passed: u64) -> u64 {
        let before_stop = self.stop.map_or(u64::MAX, |(at, _)| at.saturating_sub(passed));
        if self.dribble { before_stop.min(1) } else { before_stop }
    }

    fn apply(&self, passed: u64, bytes: Bytes) -> Bytes {
        let Some(at) = self.flip.and_then(|at| at.checked_sub(passed)).and_then(|at| usize::try_from(at).ok()) else {
            return bytes;
        };
        let mut bytes = bytes.to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1;
        }
        bytes.into()
    }
}

/// How long a byte of a body that dribbles takes.
const DRIBBLE: Duration = Duration::from_secs(1);

/// As much of a body as a record keeps.
const BEGINNING: usize = 4 << 10;

impl<C: Resettable> Conversation<C> {
    /// Asks the registry behind.
    pub(super) async fn forward(&mut self, mut asked: Asked) -> io::Result<Ending> {
        let Ok(upstream) = self.shared.upstream.connect().await else {
            return self.say(&asked, canned::refusal(502, ErrorPage::Empty, "")).await;
        };
        let framing = Framing::of_request(&asked.head);
        let wanted = change::request(&mut asked);
        let mut head = asked.head.clone();
        head.set("connection", "close");
        let (read, mut write) = split(upstream);
        write.write_all(&head.bytes()).await?;
        let mut back = Incoming::new(read);
        let method = head.word(0).to_owned();

        let Self { shared, incoming, outgoing, .. } = self;
        let mut body = Body::new(framing);
        let answer = {
            let mut sending = std::pin::pin!(send(shared, &asked, incoming, &mut write, &mut body, framing, wanted));
            let mut sent = false;
            loop {
                tokio::select! {
                    biased;
                    done = &mut sending, if !sent => match done {
                        Ok(Some(ending)) => return Ok(ending),
                        // The registry may have had enough, and say why.
                        Ok(None) | Err(_) => sent = true,
                    },
                    answer = back.head() => match answer? {
                        Some(answer) if answer.status() < 200 => outgoing.head(&answer).await?,
                        answer => break answer,
                    },
                }
            }
        };
        let Some(answer) = answer else { return Ok(Ending::Close) };
        let ending = self.hand_back(&asked, &method, answer, &mut back).await?;
        // What was not read of the request would be taken for the next one.
        Ok(if ending == Ending::Keep && !body.is_over() { Ending::Linger } else { ending })
    }

    async fn hand_back<R: AsyncRead + Unpin>(
        &mut self,
        asked: &Asked,
        method: &str,
        mut answer: Head,
        back: &mut Incoming<R>,
    ) -> io::Result<Ending> {
        let framing = Framing::of_answer(method, &answer);
        answer.remove("connection");
        if let (Some(home), Some(location)) = (&asked.home, answer.header("location").filter(|to| to.starts_with('/')))
        {
            // Who was led here knows this place by another name.
            let to = format!("{home}{location}");
            answer.set("location", to);
        }
        match asked.mode {
            Some(Mode::Framing(mode)) => {
                let body = gather(back, framing).await?;
                return self.misframe(asked, mode, answer, body).await;
            }
            Some(Mode::Range(mode)) => {
                let body = gather(back, framing).await?;
                return self.say(asked, change::range(mode, answer, body)).await;
            }
            Some(Mode::Upload(UploadMode::CommitThenReset)) => return Ok(Ending::Reset),
            Some(Mode::Upload(UploadMode::CommitThen500)) => {
                return self.say(asked, canned::refusal(500, ErrorPage::Empty, "")).await;
            }
            Some(Mode::Upload(mode)) => change::upload(mode, asked, &mut answer, &self.shared.detours, self.secure),
            _ => {}
        }
        let length = if let Framing::Length(length) = framing { Some(length) } else { None };
        // What befalls a request's body has befallen it already.
        let carries = Framing::of_request(&asked.head) != Framing::Length(0);
        let cut = if carries { Cut::default() } else { Cut::of(asked.mode, length, &self.shared) };
        self.outgoing.head(&answer).await?;
        self.shared.records.change(asked.at, |record| record.status = Some(answer.status()));
        self.pass(asked, back, framing, cut).await
    }

    /// Hands back a body as it comes, as far as it goes.
    async fn pass<R: AsyncRead + Unpin>(
        &mut self,
        asked: &Asked,
        back: &mut Incoming<R>,
        framing: Framing,
        cut: Cut,
    ) -> io::Result<Ending> {
        let mut body = Body::new(framing);
        let (mut passed, chunked) = (0, framing == Framing::Chunked);
        loop {
            if let Some((_, ending)) = cut.stop.filter(|(at, _)| *at <= passed) {
                return Ok(ending);
            }
            let Some(bytes) = body.next(back, cut.room(passed)).await? else { break };
            if cut.dribble {
                sleep(DRIBBLE).await;
            }
            let bytes = cut.apply(passed, bytes);
            passed += bytes.len() as u64;
            if chunked {
                let size = format!("{:x}\r\n", bytes.len());
                self.outgoing.bytes(&[size.as_bytes(), &bytes, b"\r\n"].concat()).await?;
            } else {
                self.outgoing.bytes(&bytes).await?;
            }
            self.shared.records.change(asked.at, |record| record.sent = passed);
        }
        if chunked {
            self.outgoing.bytes(b"0\r\n\r\n").await?;
        }
        Ok(if framing == Framing::Close { Ending::Close } else { Ending::Keep })
    }

    /// Hands back a body of a wrong length, or recoded.
    async fn misframe(
        &mut self,
        asked: &Asked,
        mode: FramingMode,
        mut head: Head,
        body: Vec<u8>,
    ) -> io::Result<Ending> {
        let is_head = asked.head.word(0) == "HEAD";
        let announced = head.header("content-length").and_then(|length| length.parse().ok());
        let length = announced.unwrap_or(body.len() as u64);
        head.remove("content-length");
        head.remove("transfer-encoding");
        let mut lengths = vec![length];
        let (mut bytes, mut ending) = (body, Ending::Keep);
        match mode {
            FramingMode::ExtraBytes => bytes.extend_from_slice(b"and more"),
            FramingMode::LengthTooBig => (lengths, ending) = (vec![length + 7], Ending::Close),
            FramingMode::LengthTooSmall => lengths = vec![length.saturating_sub(7)],
            FramingMode::LengthAbsent => (lengths, ending) = (vec![], Ending::Close),
            FramingMode::LengthTwice => (lengths, ending) = (vec![length, length + 1], Ending::Close),
            FramingMode::ChunkedWithoutEnd | FramingMode::BadChunkSize => {
                (lengths, ending) = (vec![], Ending::Close);
                head.set("transfer-encoding", "chunked");
                let size =
                    if mode == FramingMode::BadChunkSize { "zz".to_owned() } else { format!("{:x}", bytes.len()) };
                bytes = [size.as_bytes(), b"\r\n", &bytes, b"\r\n"].concat();
            }
            FramingMode::Gzip => {
                head.set("content-encoding", "gzip");
                bytes = gzip(&bytes)?;
                lengths = vec![if is_head { length } else { bytes.len() as u64 }];
            }
            FramingMode::Empty200 => (head, bytes, lengths) = (Head::answer(200), Vec::new(), vec![0]),
        }
        for length in lengths {
            head = head.with("content-length", length.to_string());
        }
        self.outgoing.head(&head).await?;
        self.shared.records.change(asked.at, |record| record.status = Some(head.status()));
        // What stands behind the head of an answer to HEAD is one byte too many already.
        if !is_head || mode == FramingMode::ExtraBytes {
            self.outgoing.bytes(&bytes).await?;
            self.shared.records.change(asked.at, |record| record.sent = bytes.len() as u64);
        }
        Ok(ending)
    }

    /// Hands back another answer than the registry's.
    async fn say(&mut self, asked: &Asked, (mut head, body): (Head, Vec<u8>)) -> io::Result<Ending> {
        head.remove("transfer-encoding");
        if asked.head.word(0) != "HEAD" {
            head.set("content-length", body.len().to_string());
        }
        self.outgoing.head(&head).await?;
        self.shared.records.change(asked.at, |record| record.status = Some(head.status()));
        self.outgoing.bytes(&body).await?;
        self.shared.records.change(asked.at, |record| record.sent = body.len() as u64);
        Ok(Ending::Keep)
    }
}

/// Hands on the body of a request; gives how it ended if that was not well. Of a chunk that is to lag, `wanted` bytes.
async fn send<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    shared: &Shared,
    asked: &Asked,
    from: &mut Incoming<R>,
    to: &mut W,
    body: &mut Body,
    framing: Framing,
    wanted: Option<u64>,
) -> io::Result<Option<Ending>> {
    let length = if let Framing::Length(length) = framing { Some(length) } else { None };
    let carries = length != Some(0);
    let cut = if carries { Cut::of(asked.mode, length, shared) } else { Cut::default() };
    let mut hasher = Hasher::sha256();
    let mut passed = 0;
    loop {
        if let Some((_, ending)) = cut.stop.filter(|(at, _)| *at <= passed) {
            return Ok(Some(ending));
        }
        let Some(bytes) = body.next(from, cut.room(passed)).await? else { break };
        if let Some(link) = shared.link {
            sleep(link.takes(bytes.len())).await;
        }
        if cut.dribble {
            sleep(DRIBBLE).await;
        }
        let bytes = cut.apply(passed, bytes);
        hasher.update(&bytes);
        shared.records.change(asked.at, |record| note(record, &bytes));
        let kept = wanted.map_or(bytes.len() as u64, |wanted| wanted.saturating_sub(passed).min(bytes.len() as u64));
        passed += bytes.len() as u64;
        let bytes = bytes.slice(..usize::try_from(kept).unwrap_or(bytes.len()));
        if framing == Framing::Chunked {
            to.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
            to.write_all(&bytes).await?;
            to.write_all(b"\r\n").await?;
        } else {
            to.write_all(&bytes).await?;
        }
    }
    if framing == Framing::Chunked {
        to.write_all(b"0\r\n\r\n").await?;
    }
    if carries {
        shared.records.change(asked.at, |record| record.digest = Some(hasher.finish()));
    }
    Ok(None)
}

fn note(record: &mut record::Record, bytes: &[u8]) {
    record.received += bytes.len() as u64;
    if record.beginning.len() < BEGINNING {
        let room = (BEGINNING - record.beginning.len()).min(bytes.len());
        record.beginning = [&record.beginning, &bytes[..room]].concat().into();
    }
}

async fn gather<R: AsyncRead + Unpin>(from: &mut Incoming<R>, framing: Framing) -> io::Result<Vec<u8>> {
    let (mut body, mut gathered) = (Body::new(framing), Vec::new());
    while let Some(bytes) = body.next(from, u64::MAX).await? {
        gathered.extend_from_slice(&bytes);
    }
    Ok(gathered)
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}
