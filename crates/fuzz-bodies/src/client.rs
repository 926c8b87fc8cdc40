//! The client, against a registry that answers what it likes: it ends, it tells no secret, and what it says can be shown.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use gantri_core::{BlobBody, BlobUpload, ByteStream, Discover, Error, ErrorKind, Limits, Manage, Pull, Push, Result};
use gantri_remote::{Body, Credential, HttpClient, Remote, SendError, SendErrorKind};
use gantri_spec::wire::Challenge;
use gantri_spec::{Algorithm, ByteRange, Descriptor, Digest, ImageManifest, MediaType, RepositoryName, Selector, Tag};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use url::{Origin, Url};

use crate::can_be_shown;
use crate::runtime::block_on;

/// Where the registry is.
const REGISTRY: &str = "https://registry.test/v2/";
/// What must never be seen elsewhere; in base64 too, as `user:password`.
const SECRET: &str = "canary-of-the-password";
const ENCODED: &str = "bWU6Y2FuYXJ5LW9mLXRoZS1wYXNzd29yZA==";
/// Answers that one input may give.
const ANSWERS: usize = 12;
/// Requests that these may cause, with those that find nothing left to be answered.
const REQUESTS: usize = 64;
/// Longer than this nothing may wait, whatever the answers say.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Ends an answer, so that bodies may hold anything else.
const END: u8 = 0x1e;

/// A first byte that chooses what is asked for, then answers: a status, a header a line, an empty line, the body. What is
/// asked beyond them is not found.
pub fn answers(data: &[u8]) {
    // An answer that holds the secret itself proves nothing: the fuzzer finds it in the program.
    let Some((choice, said)) = data.split_first().filter(|_| !holds_secret(data)) else { return };
    let script = Script::of(said.split(|byte| *byte == END).take(ANSWERS).filter_map(Answer::read));
    block_on(async {
        let begun = Instant::now();
        if let Err(error) = ask(&script.remote(), *choice).await {
            tells_no_secret(&error);
        }
        assert!(begun.elapsed() < LONGEST, "waited for {:?}", begun.elapsed());
    });
    assert!(script.count() <= REQUESTS, "{} requests", script.count());
}

/// What a token server answers (A2, A10): it makes an `Authorization` or an error, and neither is told to anybody else.
pub fn token(data: &[u8]) {
    let challenge = HeaderValue::from_static("Bearer realm=\"https://auth.test/token\",service=\"s\"");
    let refused = Answer::status(401).with(WWW_AUTHENTICATE, challenge);
    let said = Answer { body: Bytes::copy_from_slice(data), ..Answer::status(200) };
    let script = Script::of([refused, said, manifest()]);
    let outcome = block_on(script.remote().manifest(&repo(), &Tag::latest().into()));
    let sent = script.authorization();
    match outcome {
        Ok(_) => {
            let sent = sent.as_deref().and_then(|sent| sent.strip_prefix("Bearer ")).expect("a token");
            assert!(!sent.is_empty() && names(data, sent), "{sent:?} is not in the answer");
        }
        Err(error) => tells_no_secret(&error),
    }
}

/// Whether a value of the answer is this; an answer that other readers of JSON don't take may be anything.
fn names(answer: &[u8], token: &str) -> bool {
    match serde_json::from_slice::<serde_json::Value>(answer) {
        Ok(serde_json::Value::Object(fields)) => fields.values().any(|value| value == token),
        Ok(serde_json::Value::Array(items)) => items.iter().any(|value| value == token),
        Ok(_) => false,
        Err(_) => true,
    }
}

/// `Retry-After`, in seconds or as a date (H8): waited for if it is short, and then all is well; else told at once.
pub fn retry_after(data: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(data) else { return };
    let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = value.to_str().ok().filter(digits).and_then(|text| text.parse::<u64>().ok());
    let busy = Answer::status(429).with(http::header::RETRY_AFTER, value);
    let script = Script::of([busy, manifest()]);
    let limits = Limits::default();
    block_on(async {
        let begun = Instant::now();
        let outcome = script.remote().manifest(&repo(), &Tag::latest().into()).await;
        let waited = begun.elapsed();
        assert!(waited <= limits.retry_after + Duration::from_secs(60), "waited for {waited:?}");
        match outcome {
            Ok(_) => {
                assert!(seconds.map(Duration::from_secs).is_none_or(|said| said <= limits.retry_after.min(waited)));
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::RateLimited, "{error}");
                assert!(waited < Duration::from_secs(60) && script.count() == 1, "{error}");
                can_be_shown(&error);
            }
        }
    });
}

/// A manifest that all is well with.
fn manifest() -> Answer {
    let media_type = HeaderValue::from_static("application/vnd.oci.image.manifest.v1+json");
    let body = Bytes::from_static(b"{\"schemaVersion\":2}");
    Answer { body, ..Answer::status(200).with(http::header::CONTENT_TYPE, media_type) }
}

async fn ask(remote: &Remote, choice: u8) -> Result<()> {
    let (repo, latest) = (repo(), Tag::latest());
    let digest = Digest::of(b"hello");
    let blob = Descriptor::of(MediaType::OCTET_STREAM, b"hello");
    match choice % 14 {
        0 => remote.resolve_manifest(&repo, &latest.into()).await.map(drop),
        1 => remote.manifest(&repo, &latest.into()).await.map(drop),
        2 => {
            let manifest = remote.manifest(&repo, &Selector::Digest(digest.clone())).await?;
            assert_eq!(manifest.digest(), &Digest::of(manifest.bytes()));
            assert_eq!(manifest.digest(), &digest);
            Ok(())
        }
        3 => remote.resolve_blob(&repo, &digest).await.map(drop),
        4 => {
            let whole = remote.blob(&repo, &digest, ByteRange::Full).await?.bytes(1 << 20).await?;
            assert_eq!(whole, "hello");
            Ok(())
        }
        5 => {
            let part = remote.blob(&repo, &digest, (1..4).into()).await?.bytes(1 << 20).await?;
            // A smaller blob ends before the range does.
            assert!(part.len() <= 3);
            Ok(())
        }
        6 => remote.tags(&repo, None).try_for_each(|_| async { Ok(()) }).await,
        7 => remote.repositories(None).try_for_each(|_| async { Ok(()) }).await,
        8 => remote.referrers(&repo, &digest, None).try_for_each(|_| async { Ok(()) }).await,
        9 => remote.put_blob(&repo, &blob, BlobBody::bytes("hello")).await,
        10 => in_steps(remote.start_upload(&repo, Algorithm::Sha256).await?, &digest).await,
        11 => remote.mount_blob(&repo, &digest, Some(&repo)).await.map(drop),
        12 => {
            let manifest = ImageManifest::new(blob, Vec::new()).to_raw();
            remote.put_manifest(&repo, &manifest, &[latest]).await.map(drop)
        }
        _ => remote.delete_tag(&repo, &latest).await,
    }
}

async fn in_steps(mut upload: Box<dyn BlobUpload>, digest: &Digest) -> Result<()> {
    upload.write(Bytes::from_static(b"hel")).await?;
    upload.write(Bytes::from_static(b"lo")).await?;
    upload.commit(digest).await.map(drop)
}

fn repo() -> RepositoryName {
    "a/b".parse().expect("a name")
}

/// Neither the error nor what it was caused by (A16).
fn tells_no_secret(error: &Error) {
    can_be_shown(error);
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(said) = cause {
        let (shown, debugged) = (said.to_string(), format!("{said:?}"));
        assert!(!holds_secret(shown.as_bytes()) && !holds_secret(debugged.as_bytes()), "{shown}");
        cause = said.source();
    }
}

fn holds_secret(bytes: &[u8]) -> bool {
    let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
    holds(SECRET) || holds(ENCODED)
}

/// One answer of the registry, or of whomever it sends us to.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::NOT_FOUND);
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.append(name, value);
        self
    }

    fn read(said: &[u8]) -> Option<Self> {
        let end = said.windows(2).position(|window| window == b"\n\n");
        let (head, body) = end.map_or((said, &[][..]), |end| (&said[..end], &said[end + 2..]));
        let mut lines = head.split(|byte| *byte == b'\n');
        let status = StatusCode::from_bytes(lines.next()?).ok()?;
        let mut answer = Self { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body) };
        for line in lines {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            answer = answer.with(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
        }
        Some(answer)
    }
}

/// Answers in order, and watches what is sent where.
struct Script(Mutex<State>);

struct State {
    answers: VecDeque<Answer>,
    count: usize,
    /// Whom the registry named as its token server.
    realms: Vec<Origin>,
    /// The last that was sent to the registry.
    authorization: Option<String>,
}

impl Script {
    fn of(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        let answers = answers.into_iter().collect();
        Arc::new(Self(Mutex::new(State { answers, count: 0, realms: Vec::new(), authorization: None })))
    }

    fn remote(self: &Arc<Self>) -> Remote {
        let client = Arc::clone(self) as Arc<dyn HttpClient>;
        let builder = Remote::builder("registry.test".parse().expect("a host")).http_client(client);
        builder.credentials(Arc::new(Credential::basic("me", SECRET))).build().expect("a registry")
    }

    fn count(&self) -> usize {
        self.state().count
    }

    fn authorization(&self) -> Option<String> {
        self.state().authorization.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A1 to A6: the password goes to the registry and to the token server that it named, over TLS; a token to the registry
    /// alone.
    fn watch(&mut self, url: &Url, head: &http::request::Parts, body: &[u8]) {
        self.count += 1;
        let is_registry = url.origin() == registry();
        let is_realm = url.scheme() == "https" && self.realms.contains(&url.origin());
        let authorization = head.headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let told = holds_secret(authorization) || holds_secret(body) || holds_secret(url.as_str().as_bytes());
        assert!(is_registry || is_realm || !told, "the password was sent to {url}");
        assert!(is_registry || !authorization.starts_with(b"Bearer "), "a token was sent to {url}");
        if is_registry {
            self.authorization = std::str::from_utf8(authorization).ok().map(str::to_owned);
        }
    }

    fn answer(&mut self, from_registry: bool) -> Answer {
        let answer = self.answers.pop_front().unwrap_or_else(|| Answer::status(404));
        if from_registry {
            let named = answer.headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
            let realms = Challenge::parse_all(named);
            let urls = realms.iter().filter_map(|challenge| Url::parse(challenge.realm()?).ok());
            self.realms.extend(urls.map(|url| url.origin()));
        }
        answer
    }
}

#[async_trait]
impl HttpClient for Script {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<ByteStream>, SendError> {
        let (head, body) = request.into_parts();
        let sent: Result<Vec<Bytes>> = body.into_stream().try_collect().await;
        let sent = sent.map_err(|error| SendError::new(SendErrorKind::Request).with_source(error))?;
        let url = Url::parse(&head.uri.to_string()).expect("an absolute url");
        let answer = {
            let mut state = self.state();
            state.watch(&url, &head, &sent.concat());
            state.answer(url.origin() == registry())
        };
        let body: ByteStream = stream::iter([Ok(answer.body)]).boxed();
        let mut response = http::Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (answer.status, answer.headers);
        Ok(response)
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

fn registry() -> Origin {
    Url::parse(REGISTRY).expect("a url").origin()
}
