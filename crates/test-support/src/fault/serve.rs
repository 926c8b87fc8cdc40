//! One client's connection: each request is read, looked up in the script, and answered well or ill.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::time::{sleep, timeout};

use super::canned;
use super::detour::Leg;
use super::link::Resettable;
use super::mode::{Mode, SlowLink, TlsMode};
use super::record::Record;
use super::shared::Shared;
use super::wire::{Body, Framing, Head, Incoming};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// It takes the next request.
    Keep,
    /// It is closed, whatever is still coming.
    Close,
    /// Nothing more is sent, but what is still coming is read, so that the answer is not lost.
    Linger,
    Reset,
    /// It stays, and nothing more is done with it.
    Hold,
}

/// Serves a connection until it ends, TLS included.
pub(super) async fn serve<C: Resettable + 'static>(shared: Arc<Shared>, stream: C, wants_tls: bool) {
    let (number, mode) = shared.connected();
    match mode {
        Some(Mode::Refuse) => return stream.reset(),
        Some(Mode::AcceptThenClose) => return,
        _ => {}
    }
    let mode = if let Some(Mode::Tls(mode)) = mode { Some(mode) } else { None };
    let Some(certificates) = shared.certificates.clone().filter(|_| wants_tls) else {
        return converse(shared, number, false, stream).await;
    };
    match mode {
        // The beginning of a record, and no more.
        Some(TlsMode::CutInHandshake) => return say_to_hello(stream, &[22, 3, 3, 0, 122, 2, 0]).await,
        Some(TlsMode::PlainHttp) => {
            return say_to_hello(stream, b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        }
        _ => {}
    }
    let acceptor = tokio_rustls::TlsAcceptor::from(certificates.served(mode));
    // A client that does not like the certificate goes away: that is what it is for.
    if let Ok(stream) = acceptor.accept(stream).await {
        converse(shared, number, true, stream).await;
    }
}

/// Reads the beginning of a hello, says this, and goes away.
async fn say_to_hello<C: Resettable>(stream: C, said: &[u8]) {
    let (read, mut write) = split(stream);
    // A client that goes away first has seen enough.
    let _ = Incoming::new(read).some(64).await;
    let _ = write.write_all(said).await;
    let _ = write.shutdown().await;
}

async fn converse<C: Resettable>(shared: Arc<Shared>, number: u32, secure: bool, stream: C) {
    let (read, write) = split(stream);
    let outgoing = Outgoing { write, link: shared.link };
    let mut conversation = Conversation { shared, number, secure, incoming: Incoming::new(read), outgoing };
    // A client that goes away is the test's business.
    let ending = conversation.run().await.unwrap_or(Ending::Close);
    let Conversation { mut incoming, mut outgoing, .. } = conversation;
    match ending {
        Ending::Keep | Ending::Close => {}
        Ending::Linger => {
            let _ = outgoing.write.shutdown().await;
            let rest = async { while incoming.some(u64::MAX).await.is_ok_and(|bytes| !bytes.is_empty()) {} };
            let _ = timeout(LINGER, rest).await;
        }
        Ending::Reset => incoming.into_inner().unsplit(outgoing.write).reset(),
        Ending::Hold => std::future::pending().await,
    }
}

/// How long what nobody wants any more is read.
const LINGER: Duration = Duration::from_secs(5);

/// The way to the client.
pub(super) struct Outgoing<W> {
    write: W,
    link: Option<SlowLink>,
}

impl<W: tokio::io::AsyncWrite + Unpin> Outgoing<W> {
    /// Sends the head of an answer.
    pub(super) async fn head(&mut self, head: &Head) -> io::Result<()> {
        if let Some(link) = self.link {
            sleep(link.latency).await;
        }
        self.write.write_all(&head.bytes()).await?;
        self.write.flush().await
    }

    /// Sends some of a body.
    pub(super) async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(link) = self.link else {
            self.write.write_all(bytes).await?;
            return self.write.flush().await;
        };
        // A tenth of a second at a time.
        let step = usize::try_from(link.rate / 10).unwrap_or(usize::MAX).max(1);
        for part in bytes.chunks(step) {
            sleep(link.takes(part.len())).await;
            self.write.write_all(part).await?;
        }
        self.write.flush().await
    }

    pub(super) async fn end(&mut self) -> io::Result<()> {
        self.write.shutdown().await
    }
}

impl SlowLink {
    /// How long so many bytes take.
    pub(super) fn takes(&self, count: usize) -> Duration {
        Duration::from_nanos((count as u64).saturating_mul(1_000_000_000) / self.rate.max(1))
    }
}

/// A connection, and what is known about it.
pub(super) struct Conversation<C> {
    pub(super) shared: Arc<Shared>,
    number: u32,
    pub(super) secure: bool,
    pub(super) incoming: Incoming<ReadHalf<C>>,
    pub(super) outgoing: Outgoing<WriteHalf<C>>,
}

/// A request whose head was read, and the place of its record.
pub(super) struct Asked {
    pub(super) head: Head,
    pub(super) at: usize,
    pub(super) mode: Option<Mode>,
    /// The registry's origin, if the client was led away from it.
    pub(super) home: Option<String>,
}

impl<C: Resettable> Conversation<C> {
    async fn run(&mut self) -> io::Result<Ending> {
        while let Some(head) = self.incoming.head().await? {
            let record = Record::new(self.number, self.secure, self.shared.elapsed(), &head);
            let at = self.shared.records.add(record);
            let ending = if let Some(leg) = self.shared.detours.leg(&head) {
                self.on_the_way(head, at, leg).await
            } else {
                let mode = self.shared.mode(&head);
                self.shared.records.change(at, |record| record.mode = mode);
                self.act(Asked { head, at, mode, home: None }).await
            };
            self.shared.records.change(at, |record| record.over = true);
            match ending? {
                Ending::Keep => {}
                ending => return Ok(ending),
            }
        }
        Ok(Ending::Close)
    }

    async fn act(&mut self, asked: Asked) -> io::Result<Ending> {
        let Some(mode) = asked.mode else { return self.forward(asked).await };
        match mode {
            Mode::ResetBeforeHeaders => self.drain(&asked).await.map(|()| Ending::Reset),
            Mode::ResetMidHeaders => {
                self.drain(&asked).await?;
                self.outgoing.bytes(b"HTTP/1.1 200 OK\r\ncontent-le").await?;
                Ok(Ending::Reset)
            }
            Mode::HalfClose => {
                self.drain(&asked).await?;
                self.outgoing.end().await?;
                Ok(Ending::Hold)
            }
            Mode::Hang => self.drain(&asked).await.map(|()| Ending::Hold),
            Mode::Status(status, page) => {
                let realm = format!("{}/token", self.origin(&asked.head));
                self.answer(&asked, canned::refusal(status, page, &realm)).await
            }
            Mode::RetryAfter(status, pause) => self.answer(&asked, canned::throttle(status, pause)).await,
            Mode::Redirect(detour) => {
                let to = self.shared.detours.begin(detour, &asked.head, &self.origin(&asked.head), self.secure);
                let head = Head::answer(307).with("location", to);
                self.answer(&asked, (head, Vec::new())).await
            }
            _ => self.forward(asked).await,
        }
    }

    /// A request to where it was led.
    async fn on_the_way(&mut self, mut head: Head, at: usize, leg: Leg) -> io::Result<Ending> {
        match leg {
            Leg::Further(to) => {
                let asked = Asked { head, at, mode: None, home: None };
                self.answer(&asked, (Head::answer(307).with("location", to), Vec::new())).await
            }
            Leg::Refused(status) => {
                let asked = Asked { head, at, mode: None, home: None };
                self.answer(&asked, (Head::answer(status), b"<Error><Code>AccessDenied</Code></Error>".to_vec())).await
            }
            Leg::There { home, mode } => {
                head.first = format!("{} {} HTTP/1.1", head.word(0), home.target);
                let origin = format!("{}://{}", if self.secure { "https" } else { "http" }, home.host);
                head.set("host", home.host);
                head.remove("authorization");
                if let Some(authorization) = home.authorization {
                    head.set("authorization", authorization);
                }
                self.shared.records.change(at, |record| record.mode = mode);
                self.forward(Asked { head, at, mode, home: Some(origin) }).await
            }
        }
    }

    /// Reads the body of a request, and does nothing with it.
    async fn drain(&mut self, asked: &Asked) -> io::Result<()> {
        let mut body = Body::new(Framing::of_request(&asked.head));
        while let Some(bytes) = body.next(&mut self.incoming, u64::MAX).await? {
            self.shared.records.change(asked.at, |record| record.received += bytes.len() as u64);
        }
        Ok(())
    }

    /// Answers without asking the registry behind. Who waits for leave to send a body does not get it.
    async fn answer(&mut self, asked: &Asked, (mut head, body): (Head, Vec<u8>)) -> io::Result<Ending> {
        let waits = asked.head.header("expect").is_some();
        if !waits {
            self.drain(asked).await?;
        }
        head.set("content-length", body.len().to_string());
        if waits {
            head.set("connection", "close");
        }
        self.outgoing.head(&head).await?;
        self.shared.records.change(asked.at, |record| record.status = Some(head.status()));
        if asked.head.word(0) != "HEAD" {
            self.outgoing.bytes(&body).await?;
            self.shared.records.change(asked.at, |record| record.sent = body.len() as u64);
        }
        Ok(if waits { Ending::Linger } else { Ending::Keep })
    }

    /// Scheme and authority, as the client knows them.
    pub(super) fn origin(&self, head: &Head) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", head.header("host").unwrap_or_default())
    }
}
