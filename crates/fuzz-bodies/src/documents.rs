//! Documents in JSON: what is taken means one thing, is kept byte for byte, and reads back if it is written again.

use bytes::Bytes;
use gantri_core::Error;
use gantri_spec::wire::{ErrorBody, RepositoryList, TagList};
use gantri_spec::{Descriptor, ImageConfig, InvalidManifest, Manifest, MediaType, RawManifest};
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::can_be_shown;

/// Image manifests (M1, M10).
pub fn manifest(data: &[u8]) {
    document(data, &[MediaType::OCI_MANIFEST, MediaType::DOCKER_MANIFEST, MediaType::OCI_INDEX]);
}

/// Indexes (M1, M10).
pub fn index(data: &[u8]) {
    document(data, &[MediaType::OCI_INDEX, MediaType::DOCKER_MANIFEST_LIST, MediaType::OCI_MANIFEST]);
}

/// Image configs (M10, M16).
pub fn config(data: &[u8]) {
    let config = match ImageConfig::parse(data) {
        Ok(config) => config,
        Err(error) => return told(&error),
    };
    let json = is_strict(data);
    let platform = config.platform();
    let _ = (platform.to_string(), platform.rank(&platform));
    if let Some(user) = config.config.as_ref().and_then(|runtime| runtime.user.as_deref()) {
        let _ = gantri_spec::User::try_from(user);
    }
    if !has_fraction(&json) {
        assert_eq!(ImageConfig::parse(&config.to_bytes()), Ok(config));
    }
}

/// Descriptors (M6), and bytes held against them.
pub fn descriptor(data: &[u8]) {
    let Ok(descriptor) = serde_json::from_slice::<Descriptor>(data) else { return };
    assert!(i64::try_from(descriptor.size).is_ok());
    if !serde_json::from_slice(data).is_ok_and(|json| has_fraction(&json)) {
        reads_back(&descriptor);
    }
    let content = descriptor.data.clone().unwrap_or_default();
    let is_right = content.len() as u64 == descriptor.size
        && descriptor.digest.algorithm().digest(&content).as_ref() == Some(&descriptor.digest);
    match RawManifest::expect(&descriptor, content) {
        Ok(manifest) => assert!(is_right && manifest.digest() == &descriptor.digest),
        Err(mismatch) => {
            assert!(!is_right);
            can_be_shown(&mismatch);
        }
    }
}

/// Error bodies: what a registry says of itself can be shown, and what we say it understands.
pub fn error_body(data: &[u8]) {
    let Some(body) = ErrorBody::parse(data) else { return };
    assert!(!body.errors.is_empty());
    for error in &body.errors {
        can_be_shown(&error.code);
        can_be_shown(&error.message);
    }
    let said = |body: &ErrorBody| -> Vec<_> {
        let detail = |detail: &serde_json::value::RawValue| detail.get().to_owned();
        body.errors
            .iter()
            .map(|error| (error.code.clone(), error.message.clone(), error.detail.as_deref().map(detail)))
            .collect()
    };
    let reread = ErrorBody::parse(&body.to_bytes()).expect("a body of ours");
    assert_eq!(said(&reread), said(&body));
    for status in [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND, StatusCode::TOO_MANY_REQUESTS] {
        can_be_shown(&Error::from_wire(status, Some(body.clone()), "a request"));
    }
}

/// Pages of listings (M10).
pub fn listing(data: &[u8]) {
    if let Ok(tags) = serde_json::from_slice::<TagList>(data) {
        reads_back(&tags);
    }
    if let Ok(repositories) = serde_json::from_slice::<RepositoryList>(data) {
        reads_back(&repositories);
    }
}

/// The document as what it may have come as, and as from a sender who does not say.
fn document(data: &[u8], types: &[MediaType]) {
    let bytes = Bytes::copy_from_slice(data);
    let mut taken = Vec::new();
    for media_type in types.iter().chain([&MediaType::OCTET_STREAM]) {
        let raw = RawManifest::new(media_type.clone(), bytes.clone());
        assert_eq!((raw.bytes(), raw.descriptor().size), (&bytes, data.len() as u64));
        match raw.parse() {
            Ok(manifest) => {
                understood(&raw, &manifest);
                taken.extend(kind(&manifest));
            }
            Err(error) => told(&error),
        }
    }
    // M1: no document is two things.
    taken.dedup();
    assert!(taken.len() <= 1, "{taken:?}");
}

/// What holds for a document that was taken.
fn understood(raw: &RawManifest, manifest: &Manifest) {
    // What nobody reads need not even be JSON.
    if kind(manifest).is_none() {
        return assert!(manifest.children().is_empty());
    }
    let json = is_strict(raw.bytes());
    let count = |field: &str| json.get(field).and_then(Value::as_array).map_or(0, Vec::len);
    let children = match manifest {
        Manifest::Image(_) => count("layers") + 1,
        Manifest::Index(_) => count("manifests"),
        _ => 0,
    };
    assert_eq!(manifest.children().len(), children);
    for child in manifest.children().into_iter().chain(manifest.subject()) {
        assert!(i64::try_from(child.size).is_ok());
    }
    let listed = manifest.referrer(raw.descriptor());
    assert_eq!((&listed.digest, listed.size), (raw.digest(), raw.descriptor().size));
    if has_fraction(&json) {
        return;
    }
    let written = match manifest {
        Manifest::Image(image) => image.to_raw(),
        Manifest::Index(index) => index.to_raw(),
        _ => return,
    };
    let reread = written.parse().expect("a document of ours");
    assert_eq!(reread.children(), manifest.children());
    assert_eq!((reread.subject(), reread.annotations()), (manifest.subject(), manifest.annotations()));
    assert_eq!(kind(&reread), kind(manifest));
}

fn kind(manifest: &Manifest) -> Option<&'static str> {
    match manifest {
        Manifest::Image(_) => Some("image"),
        Manifest::Index(_) => Some("index"),
        _ => None,
    }
}

/// The document, which another reader must take too (M10).
fn is_strict(data: &[u8]) -> Value {
    let json: Value = serde_json::from_slice(data).expect("JSON that any reader takes");
    assert!(json.is_object());
    assert!(depth(&json) <= 64);
    json
}

fn depth(json: &Value) -> usize {
    match json {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

/// Whether a number stands in it that JSON readers round, each in its own way.
fn has_fraction(json: &Value) -> bool {
    match json {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(fields) => fields.values().any(has_fraction),
        _ => false,
    }
}

fn reads_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let json = serde_json::to_vec(value).expect("a document of ours");
    assert_eq!(&serde_json::from_slice::<T>(&json).expect("a document of ours"), value);
}

/// The parser's words may quote the document; whoever shows them escapes them.
fn told(error: &InvalidManifest) {
    can_be_shown(&gantri_core::error::display_untrusted(&error.to_string()));
}
