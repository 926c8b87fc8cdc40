//! What an answer says about a manifest, and whom to believe (M4): the digest of the bytes is the truth, the one asked for
//! is the law, and a header that contradicts either is an error.

use gantri_core::error::display_untrusted;
use gantri_core::{Error, ErrorKind, Result};
use gantri_spec::{Algorithm, Descriptor, Digest, InvalidDigest, ManifestMismatch, MediaType, RawManifest, Selector};
use http::HeaderName;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};

use crate::transport::{Response, Whole};

/// The header in which registries name the digest.
pub(crate) const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");

/// Every kind of manifest that is understood or passed on. A registry that has it in no such kind says so instead of
/// converting it.
pub(crate) const ACCEPT: HeaderValue = HeaderValue::from_static(
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, \
     */*;q=0.1",
);

/// The descriptor that the head of an answer gives; `None` if it leaves something out, and only the body can tell.
///
/// # Errors
/// `DigestMismatch` if it names another manifest than the one asked for.
pub(crate) fn of_head(response: &Response, at: &Selector) -> Result<Option<Descriptor>> {
    let named = response.text(&DIGEST_HEADER).and_then(|text| text.parse::<Digest>().ok());
    let digest = match (at, named) {
        (Selector::Digest(asked), named) => {
            if let Some(named) = named {
                agree(asked, &named)?;
            }
            Some(asked.clone())
        }
        (Selector::Tag(_), named) => named.filter(|digest| digest.algorithm() != Algorithm::Other),
    };
    let media_type = response.text(&CONTENT_TYPE).map(MediaType::from).filter(MediaType::is_manifest);
    // Some proxies announce no bytes at all for HEAD; no manifest is that short.
    let size = response.length().filter(|size| *size > 0);
    let recoded = response.text(&CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity"));
    Ok(match (media_type, digest, size) {
        (Some(media_type), Some(digest), Some(size)) if !recoded => Some(Descriptor::new(media_type, digest, size)),
        _ => None,
    })
}

/// The manifest in an answer.
///
/// # Errors
/// `DigestMismatch` if the bytes are not what was asked for or what the header says; `Protocol` for a header that is no
/// digest; `Unsupported` for a digest that can't be verified (M3); `NotARegistry` if this is no manifest at all (M9).
pub(crate) fn of_body(whole: &Whole, at: &Selector, what: &str) -> Result<RawManifest> {
    let declared = whole.text(&CONTENT_TYPE).map_or(MediaType::OCTET_STREAM, MediaType::from);
    let named = claimed(whole.text(&DIGEST_HEADER))?;
    let bytes = whole.bytes.clone();
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).is_ok();
    if !is_json && !declared.is_manifest() {
        return Err(whole.not_a_registry(what));
    }
    let manifest = match (at, &named) {
        (Selector::Digest(asked), Some(named)) => {
            agree(asked, named)?;
            let manifest = RawManifest::expect_digest(asked, declared, bytes);
            // The registry may name it by another algorithm than the caller did: then both must be right.
            if asked == named { manifest } else { manifest.and_then(|manifest| also(manifest, named)) }
        }
        (Selector::Digest(expected), None) | (Selector::Tag(_), Some(expected)) => {
            RawManifest::expect_digest(expected, declared, bytes)
        }
        (Selector::Tag(_), None) => Ok(RawManifest::new(declared, bytes)),
    };
    let manifest = manifest.map_err(|error| mismatch(&error))?;
    if !is_json {
        return Err(Error::new(ErrorKind::ManifestInvalid, "not json"));
    }
    Ok(manifest)
}

/// The same manifest, if its bytes have this digest as well.
fn also(manifest: RawManifest, named: &Digest) -> Result<RawManifest, ManifestMismatch> {
    let bytes = manifest.bytes().clone();
    RawManifest::expect_digest(named, MediaType::OCTET_STREAM, bytes).map(|_| manifest)
}

/// Refuses an answer that names something else than what was sent (H19).
pub(crate) fn confirm(response: &Response, sent: &Digest) -> Result<()> {
    match response.text(&DIGEST_HEADER).and_then(|text| text.parse().ok()) {
        Some(named) => agree(sent, &named),
        None => Ok(()),
    }
}

/// A digest header's claim. An empty one claims nothing.
fn claimed(header: Option<&str>) -> Result<Option<Digest>> {
    header
        .map(|text| {
            text.parse().map_err(|error: InvalidDigest| {
                let what = format!("docker-content-digest {}: no digest", display_untrusted(text));
                Error::new(ErrorKind::Protocol, what).with_source(error)
            })
        })
        .transpose()
}

/// Refuses a digest that differs from the one asked for. Those of two algorithms can't be compared, and do not contradict
/// each other.
pub(crate) fn agree(asked: &Digest, named: &Digest) -> Result<()> {
    if asked.algorithm_name() == named.algorithm_name() && asked != named {
        let what = format!("digest {asked} expected, the registry names {named}");
        return Err(Error::new(ErrorKind::DigestMismatch, what));
    }
    Ok(())
}

fn mismatch(mismatch: &ManifestMismatch) -> Error {
    let kind = match mismatch {
        ManifestMismatch::Size { .. } => ErrorKind::SizeMismatch,
        ManifestMismatch::Digest { .. } => ErrorKind::DigestMismatch,
        ManifestMismatch::Algorithm(_) => ErrorKind::Unsupported,
    };
    Error::new(kind, mismatch.to_string())
}
