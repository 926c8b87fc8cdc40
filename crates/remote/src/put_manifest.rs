//! Putting a manifest: its bytes as they are, its tags at once where the registry knows how (end-7b), and its place in the
//! list of its subject's referrers where the registry keeps none.

use gantri_core::{Error, ErrorKind, PutManifest, Result, Retry};
use gantri_spec::wire::Endpoint;
use gantri_spec::{Algorithm, Digest, RawManifest, RepositoryName, Selector, Tag};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use crate::habits::Shown;
use crate::manifest::confirm;
use crate::remote::Remote;
use crate::transport::{Attempt, Replay, Request, Response};

const SUBJECT_HEADER: HeaderName = HeaderName::from_static("oci-subject");
const TAG_HEADER: HeaderName = HeaderName::from_static("oci-tag");

/// Tags that every registry that takes several at once has to take.
const TAGS_AT_ONCE: usize = 10;

impl Remote {
    /// Stores a manifest and points the tags at it; see [`Push::put_manifest`](gantri_core::Push::put_manifest).
    pub(crate) async fn push_manifest(
        &self,
        repo: &RepositoryName,
        manifest: &RawManifest,
        tags: &[Tag],
    ) -> Result<PutManifest> {
        let parsed = manifest.parse().ok();
        let Some(subject) = parsed.as_ref().and_then(|parsed| parsed.subject()).map(|subject| subject.digest.clone())
        else {
            let named = self.put_with_tags(repo, manifest, tags).await?;
            return Ok(PutManifest::new(tags.to_vec(), named));
        };
        if self.lists_referrers(repo) == Shown::Yes {
            self.put_with_tags(repo, manifest, tags).await?;
            return Ok(PutManifest::new(tags.to_vec(), Some(subject)));
        }
        // Content, then the list that names it, then the tags.
        let named = self.put_with_tags(repo, manifest, &[]).await?;
        if named.as_ref() == Some(&subject) {
            self.shows_referrers(repo, Shown::Yes);
        } else if self.has_no_referrers_api(repo, &subject).await? {
            let listed = parsed.map(|parsed| parsed.referrer(manifest.descriptor()));
            let listed = listed.unwrap_or_else(|| manifest.descriptor().clone());
            let left = format!("{} is there, but not on the list of referrers of {subject}", manifest.digest());
            self.enlist(repo, &subject, listed).await.map_err(|error| error.during(left))?;
        }
        if !tags.is_empty() {
            self.put_with_tags(repo, manifest, tags).await?;
        }
        Ok(PutManifest::new(tags.to_vec(), Some(subject)))
    }

    /// Puts it by digest if no tag is named, by tag if one is, by digest with all tags where the registry knows that, and
    /// by one tag after the other where it does not. Gives the subject that the registry names.
    async fn put_with_tags(
        &self,
        repo: &RepositoryName,
        manifest: &RawManifest,
        tags: &[Tag],
    ) -> Result<Option<Digest>> {
        let by_digest = Selector::Digest(manifest.digest().clone());
        // By tag, a registry would name it by SHA-256.
        let named = manifest.digest().algorithm() != Algorithm::Sha256;
        let mut subject = None;
        let mut left: Vec<Tag> = tags.to_vec();
        if tags.is_empty() {
            return Ok(self.put_manifest_at(repo, manifest, by_digest, Vec::new()).await?.subject);
        }
        let mut refused = false;
        if (named || tags.len() > 1) && self.habits().tags_at_once.shown() != Shown::No {
            match self.put_at_once(repo, manifest, tags).await {
                Ok((taken, named)) => {
                    left.retain(|tag| !taken.contains(tag));
                    subject = named;
                }
                Err(error) if may_be_about_tags(&error) => refused = true,
                Err(error) => return Err(error),
            }
        } else if named {
            subject = self.put_manifest_at(repo, manifest, by_digest, Vec::new()).await?.subject;
        }
        for (at, tag) in left.iter().enumerate() {
            let put = self.put_manifest_at(repo, manifest, tag.clone().into(), Vec::new()).await;
            let set =
                || tags.iter().filter(|tag| !left[at..].contains(tag)).map(Tag::as_str).collect::<Vec<_>>().join(", ");
            let put = put.map_err(|error| {
                if set().is_empty() { error } else { error.during(format_args!("tags set before: {}", set())) }
            })?;
            subject = subject.or(put.subject);
        }
        if refused {
            self.habits().tags_at_once.shows(Shown::No);
        }
        Ok(subject)
    }

    /// One request for each ten tags, as long as the registry takes them; the tags that it took.
    async fn put_at_once(
        &self,
        repo: &RepositoryName,
        manifest: &RawManifest,
        tags: &[Tag],
    ) -> Result<(Vec<Tag>, Option<Digest>)> {
        let (mut taken, mut subject) = (Vec::new(), None);
        for some in tags.chunks(TAGS_AT_ONCE) {
            let at = Selector::Digest(manifest.digest().clone());
            let answer = self.put_manifest_at(repo, manifest, at, some.to_vec()).await?;
            subject = subject.or(answer.subject);
            match answer.tags {
                // Told nothing, it has shown nothing; the tags are set one by one.
                None => break,
                Some(named) if named.is_empty() => {
                    self.habits().tags_at_once.shows(Shown::No);
                    break;
                }
                Some(named) => taken.extend(named),
            }
            self.habits().tags_at_once.shows(Shown::Yes);
        }
        Ok((taken, subject))
    }

    /// Whether this is about the way there and back, and not about the manifest. Where no connection could be made there was
    /// no way there, and a 429 was sent back as often as is decent already (H25).
    fn may_have_arrived(&self, request: &Request, error: &Error) -> bool {
        let is_passing = error.status().is_none_or(|status| self.transport().is_passing(status));
        error.retry() != Retry::Never && is_passing && !request.is_undone() && error.kind() != ErrorKind::RateLimited
    }

    /// One `PUT`; what it is called afterwards must be what was sent (H19). If its answer is lost, the registry is asked
    /// whether it has the manifest there before it is sent again (H18).
    pub(crate) async fn put_manifest_at(
        &self,
        repo: &RepositoryName,
        manifest: &RawManifest,
        at: Selector,
        tags: Vec<Tag>,
    ) -> Result<Answer> {
        let what = format!("push {}", self.manifest_name(repo, &at));
        let content_type = HeaderValue::from_str(manifest.media_type().as_str()).map_err(|error| {
            Error::new(ErrorKind::ManifestInvalid, format!("{what}: its media type can't be sent")).with_source(error)
        })?;
        let endpoint = Endpoint::PutManifest { repo: repo.clone(), at: at.clone(), tags };
        let mut request = self
            .request(&endpoint, &what)
            .header(CONTENT_TYPE, content_type)
            .bytes(manifest.bytes().clone())
            .replay(Replay::Never);
        let (mut tries, mut looks) = (1, Attempt::first());
        loop {
            let error = match self.transport().send(&mut request).await {
                Ok(response) => return Answer::of(&response, manifest).map_err(|error| error.during(&what)),
                Err(error) if !self.may_have_arrived(&request, &error) => {
                    return Err(too_large(error, manifest, &what));
                }
                Err(error) => error,
            };
            match self.resolve_manifest_within(repo, &at, &mut looks).await {
                Ok(found) if found.digest == *manifest.digest() => return Ok(Answer::default()),
                // Who does not answer that either is away: its own tries are enough (H25).
                Err(away) if away.retry() != Retry::Never => return Err(error),
                _ => {}
            }
            if tries >= self.limits().request_tries || !self.transport().rest_after(&error, tries).await {
                return Err(if tries > 1 { error.during(format_args!("{tries} tries")) } else { error });
            }
            tries += 1;
        }
    }
}

/// What a registry said of a manifest that it took; nothing if its answer was lost.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    subject: Option<Digest>,
    tags: Option<Vec<Tag>>,
}

impl Answer {
    fn of(response: &Response, sent: &RawManifest) -> Result<Self> {
        confirm(response, sent.digest())?;
        let subject = response.text(&SUBJECT_HEADER).and_then(|subject| subject.parse().ok());
        Ok(Self { subject, tags: Some(taken_tags(response)) })
    }
}

/// The registry's own bound, by the same kind as ours.
fn too_large(error: Error, manifest: &RawManifest, what: &str) -> Error {
    if error.status() != Some(StatusCode::PAYLOAD_TOO_LARGE) {
        return error;
    }
    let what = format!("{what}: the registry takes no manifest of {} bytes", manifest.bytes().len());
    let told = Error::new(ErrorKind::LimitExceeded, what).with_status(StatusCode::PAYLOAD_TOO_LARGE);
    let told = told.with_codes(error.codes().to_vec());
    told.with_hint("raise the registry's limit, or that of the proxy before it").with_source(error)
}

/// Whether a refusal may be of the tags in the query rather than of the manifest.
fn may_be_about_tags(error: &Error) -> bool {
    matches!(error.status().map(|status| status.as_u16()), Some(400 | 404 | 405 | 414 | 422 | 431 | 501))
}

fn taken_tags(response: &Response) -> Vec<Tag> {
    let values = response.head.headers.get_all(TAG_HEADER).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).filter_map(|tag| tag.trim().parse().ok()).collect()
}
