//! Content that a registry had, and has no more when the manifest that names it is put: its collection came in between
//! (H20). What it names is sent once more, each child once, and then it is believed.

use std::collections::HashSet;

use gantri_core::Error;
use gantri_spec::wire::ErrorCode;
use gantri_spec::{Descriptor, Digest, RawManifest};

/// The children that were sent again because a registry said that it misses them.
#[derive(Debug, Default)]
pub(crate) struct Lost(HashSet<Digest>);

impl Lost {
    /// The child to send again before the manifest is put again; `None` if the refusal is about something else, or about
    /// what was sent again already.
    pub(crate) fn child(&mut self, error: &Error, manifest: &RawManifest) -> Option<Descriptor> {
        let child = missed(error, manifest).filter(|child| self.0.insert(child.digest.clone()))?;
        tracing::debug!(child = %child.digest, manifest = %manifest.digest(), "sent again");
        Some(child)
    }
}

/// The child of a manifest that a refusal says is missing.
fn missed(error: &Error, manifest: &RawManifest) -> Option<Descriptor> {
    let says_so = |code: &ErrorCode| match code {
        ErrorCode::ManifestBlobUnknown | ErrorCode::BlobUnknown => true,
        // ECR's word for it.
        other => other.as_str() == "LAYERS_NOT_FOUND",
    };
    if !error.codes().iter().any(says_so) {
        return None;
    }
    let said = format!("{} {error}", error.detail().map(ToString::to_string).unwrap_or_default());
    let named = |digest: &Digest| digest != manifest.digest() && said.contains(digest.as_str());
    let parsed = manifest.parse().ok()?;
    parsed.children().into_iter().find(|child| named(&child.digest)).cloned()
}

#[cfg(test)]
mod tests {
    use gantri_core::ErrorKind;
    use gantri_spec::wire::ErrorBody;
    use gantri_spec::{ImageManifest, MediaType};

    use super::*;

    /// H20: the forms in which registries name what they miss.
    #[test]
    fn a_missing_child_is_known_by_code_and_digest() {
        let layer = Descriptor::of(MediaType::OCI_LAYER, b"layer");
        let config = Descriptor::of(MediaType::OCI_CONFIG, b"{}");
        let manifest = ImageManifest::new(config, vec![layer.clone()]).to_raw();
        let (layer, other) = (layer.digest.clone(), Digest::of(b"other"));
        let cases = [
            (format!(r#"{{"code":"MANIFEST_BLOB_UNKNOWN","message":"","detail":"{layer}"}}"#), true),
            (format!(r#"{{"code":"MANIFEST_BLOB_UNKNOWN","message":"","detail":{{"digest":"{layer}"}}}}"#), true),
            (format!(r#"{{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob {layer} unknown"}}"#), true),
            (format!(r#"{{"code":"LAYERS_NOT_FOUND","message":"{layer}"}}"#), true),
            (format!(r#"{{"code":"MANIFEST_BLOB_UNKNOWN","message":"{other}"}}"#), false),
            (r#"{"code":"MANIFEST_BLOB_UNKNOWN","message":"one of them"}"#.to_owned(), false),
            (format!(r#"{{"code":"MANIFEST_INVALID","message":"{layer}"}}"#), false),
        ];
        for (said, is_known) in cases {
            let body = ErrorBody::parse(format!(r#"{{"errors":[{said}]}}"#).as_bytes());
            let error = Error::from_wire(ErrorCode::ManifestBlobUnknown.status(), body, "put");
            assert_eq!(missed(&error, &manifest).map(|child| child.digest), is_known.then(|| layer.clone()), "{said}");
        }
        assert!(missed(&Error::new(ErrorKind::ManifestInvalid, layer.to_string()), &manifest).is_none());
    }
}
