//! Names: what prints parses back to the same value, what is refused is refused at a place inside it.

use std::fmt::{Debug, Display};
use std::path::{Component, Path};
use std::str::FromStr;

use gantri_spec::{Algorithm, Digest, Host, Platform, Reference, RepositoryName, Selector, Tag, User};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{can_be_shown, text};

/// References, and each part of them by itself.
pub fn reference(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match text.parse::<Reference>() {
        Ok(reference) => {
            reads_back(&reference);
            assert_eq!(reference.familiar().parse(), Ok(reference.clone()));
            assert!(reference.familiar().len() <= reference.to_string().len());
            assert_eq!(Selector::try_from(reference.selector().to_string().as_str()), Ok(reference.selector()));
        }
        Err(error) => {
            assert!(error.offset() <= text.len(), "{error}");
            can_be_shown(&error);
        }
    }
    if let Some(repository) = parsed::<RepositoryName>(text) {
        assert_eq!(repository.as_str(), text);
        reads_back(&repository);
        is_inside(text);
    }
    if let Some(tag) = parsed::<Tag>(text) {
        assert_eq!(tag.as_str(), text);
        reads_back(&tag);
        is_inside(text);
    }
    if let Some(selector) = parsed::<Selector>(text) {
        reads_back(&selector);
    }
    if let Some(user) = parsed::<User>(text) {
        reads_back(&user);
    }
}

/// Digests (M2): nothing that is not one, and never a path that leads elsewhere.
pub fn digest(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match text.parse::<Digest>() {
        Ok(digest) => {
            assert_eq!(digest.as_str(), text);
            reads_back(&digest);
            is_inside(digest.algorithm_name());
            is_inside(digest.encoded());
            let hex = |length| digest.encoded().len() == length && digest.encoded().bytes().all(is_lower_hex);
            match digest.algorithm() {
                Algorithm::Sha256 => assert!(hex(64)),
                Algorithm::Sha512 => assert!(hex(128)),
                Algorithm::Other => assert!(digest.hasher().is_none()),
            }
        }
        Err(error) => {
            assert!(error.offset() <= text.len(), "{error}");
            can_be_shown(&error);
        }
    }
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let whole = algorithm.digest(data).expect("an algorithm that is computed");
        let mut hasher = whole.hasher().expect("an algorithm that is computed");
        let (head, tail) = data.split_at(data.len() / 3);
        hasher.update(head);
        hasher.update(tail);
        assert_eq!(hasher.finish(), whole);
    }
}

/// Hosts (A15): what prints alike is alike, and what is said of a host follows from what it prints.
pub fn host(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let Some(host) = parsed::<Host>(text) else { return };
    reads_back(&host);
    assert_eq!(host.as_str(), host.as_str().to_ascii_lowercase());
    let name = if host.name().contains(':') { format!("[{}]", host.name()) } else { host.name().to_owned() };
    let rebuilt = host.port().map_or(name.clone(), |port| format!("{name}:{port}"));
    assert_eq!(host.as_str(), rebuilt);
    assert_eq!(host.is_docker_hub(), host == Host::docker_hub());
    assert_eq!(text.to_ascii_uppercase().parse(), Ok(host.clone()));
    // It becomes the authority of a URL, so it must be one and nothing more.
    let url: http::Uri = format!("https://{}/v2/", host.authority()).parse().expect("a host that fits into a url");
    assert_eq!(url.authority().map(http::uri::Authority::as_str), Some(host.authority()));
    assert_eq!(url.path(), "/v2/");
}

/// Platforms, one a line (M14): none ranks above the wanted one itself.
pub fn platform(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let platforms: Vec<Platform> = text.split('\n').take(4).filter_map(parsed::<Platform>).collect();
    for want in &platforms {
        assert_eq!(want.rank(want).is_none(), is_unknown(want), "{want}");
        for offered in &platforms {
            assert!(offered.rank(want) <= want.rank(want), "{offered} for {want}");
        }
    }
    if let Ok(platform) = serde_json::from_slice::<Platform>(data) {
        let _ = (platform.to_string(), platform.rank(&platform));
    }
}

fn is_unknown(platform: &Platform) -> bool {
    let unknown = |text: &str| text.eq_ignore_ascii_case("unknown");
    unknown(&platform.os) || unknown(&platform.architecture)
}

/// The value, if the text is one; either way it holds what all text forms promise.
fn parsed<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Display> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let printed = value.to_string();
            assert!(printed.parse().ok().as_ref() == Some(&value), "{text:?} prints as {printed:?}");
            Some(value)
        }
        Err(error) => {
            can_be_shown(&error);
            None
        }
    }
}

/// By its text and by its JSON, which is the same text.
fn reads_back<T>(value: &T)
where
    T: FromStr<Err: Debug> + Display + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let printed = value.to_string();
    assert_eq!(&printed.parse::<T>().expect("what was printed"), value);
    let json = serde_json::to_value(value).expect("a text serialises");
    assert_eq!(json, serde_json::Value::String(printed));
    assert_eq!(&serde_json::from_value::<T>(json).expect("what was written"), value);
}

/// As a path it goes down and nowhere else.
fn is_inside(part: &str) {
    let mut components = Path::new(part).components();
    assert!(!part.is_empty() && components.all(|component| matches!(component, Component::Normal(_))), "{part:?}");
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}
