//! A registry of manifests and tags alone, as small as a script: what distribution does without a referrers API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use gantri_spec::{Descriptor, Digest, ImageManifest, Manifest, MediaType, RawManifest};

use crate::script::{Reply, Script, Seen};

type Hook = dyn Fn(&Seen) -> Option<Reply> + Send + Sync;

pub(crate) struct Tiny {
    /// Answers before the registry does, if it answers.
    hook: Box<Hook>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    manifests: BTreeMap<String, (String, Bytes)>,
    tags: BTreeMap<String, String>,
}

impl Tiny {
    pub(crate) fn new() -> Arc<Self> {
        Self::hooked(|_| None)
    }

    pub(crate) fn hooked(hook: impl Fn(&Seen) -> Option<Reply> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { hook: Box::new(hook), state: Mutex::default() })
    }

    pub(crate) fn script(self: &Arc<Self>) -> Arc<Script> {
        let tiny = Arc::clone(self);
        Script::new(move |seen, _| tiny.answer(seen))
    }

    pub(crate) fn put(&self, manifest: &RawManifest, tag: Option<&str>) {
        let mut state = self.state.lock().unwrap();
        let digest = manifest.digest().to_string();
        let held = (manifest.media_type().to_string(), manifest.bytes().clone());
        state.manifests.insert(digest.clone(), held);
        if let Some(tag) = tag {
            state.tags.insert(tag.to_owned(), digest);
        }
    }

    /// Forgets a manifest as clients do that know of no lists.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.state.lock().unwrap().manifests.remove(digest.as_str());
    }

    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        self.state.lock().unwrap().manifests.contains_key(digest.as_str())
    }

    pub(crate) fn manifests(&self) -> usize {
        self.state.lock().unwrap().manifests.len()
    }

    /// Each tag with what it points at.
    pub(crate) fn tags(&self) -> BTreeMap<String, String> {
        self.state.lock().unwrap().tags.clone()
    }

    /// The digests that the list of a subject names; `None` if there is no list.
    pub(crate) fn listed(&self, subject: &Digest) -> Option<Vec<Digest>> {
        let state = self.state.lock().unwrap();
        let (media_type, bytes) = &state.manifests[state.tags.get(&list_tag(subject))?];
        let raw = RawManifest::new(MediaType::from(media_type.as_str()), bytes.clone());
        let Manifest::Index(index) = raw.parse().unwrap() else { panic!("an index") };
        Some(index.manifests.into_iter().map(|listed| listed.digest).collect())
    }

    pub(crate) fn answer(&self, seen: &Seen) -> Reply {
        if let Some(reply) = (self.hook)(seen) {
            return reply;
        }
        let path = seen.url.split_once("/v2/a/b/").map_or("", |(_, path)| path);
        let path = path.split('?').next().unwrap();
        let Some(at) = path.strip_prefix("manifests/") else { return Reply::status(404) };
        let mut state = self.state.lock().unwrap();
        match seen.method.as_str() {
            "PUT" => state.put(at, seen),
            "DELETE" => state.delete(at),
            _ => state.get(at),
        }
    }
}

impl State {
    fn put(&mut self, at: &str, seen: &Seen) -> Reply {
        let media_type = seen.header("content-type").unwrap().to_owned();
        let raw = RawManifest::new(MediaType::from(media_type.as_str()), seen.body.clone());
        let missing = match raw.parse() {
            Ok(Manifest::Index(index)) => {
                index.manifests.iter().any(|child| !self.manifests.contains_key(child.digest.as_str()))
            }
            _ => false,
        };
        if missing {
            return refusal(400, "MANIFEST_BLOB_UNKNOWN");
        }
        let digest = raw.digest().to_string();
        self.manifests.insert(digest.clone(), (media_type, seen.body.clone()));
        if !at.contains(':') {
            self.tags.insert(at.to_owned(), digest.clone());
        }
        Reply::status(201).header("docker-content-digest", digest)
    }

    /// By digest only, as distribution before version 3.
    fn delete(&mut self, at: &str) -> Reply {
        if !at.contains(':') {
            return refusal(400, "DIGEST_INVALID");
        }
        if self.manifests.remove(at).is_none() {
            return refusal(404, "MANIFEST_UNKNOWN");
        }
        self.tags.retain(|_, digest| digest != at);
        Reply::status(202)
    }

    fn get(&self, at: &str) -> Reply {
        let digest = self.tags.get(at).map_or(at, String::as_str);
        match self.manifests.get(digest) {
            Some((media_type, bytes)) => {
                Reply::ok(bytes.clone()).header("content-type", media_type).header("docker-content-digest", digest)
            }
            None => refusal(404, "MANIFEST_UNKNOWN"),
        }
    }
}

pub(crate) fn refusal(status: u16, code: &str) -> Reply {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": "" }] });
    Reply::status(status).body(body.to_string()).header("content-type", "application/json")
}

pub(crate) fn list_tag(subject: &Digest) -> String {
    format!("{}-{}", subject.algorithm_name(), subject.encoded())
}

pub(crate) const SIGNATURE: MediaType = MediaType::from_static("application/vnd.example.signature");

/// An artifact of some name and type that refers to a subject.
pub(crate) fn artifact(name: &str, artifact_type: &MediaType, subject: &Descriptor) -> RawManifest {
    let mut artifact = ImageManifest::new(Descriptor::of(MediaType::OCI_EMPTY, b"{}"), Vec::new());
    artifact.artifact_type = Some(artifact_type.clone());
    artifact.annotations.insert("org.example.name".to_owned(), name.to_owned());
    artifact.subject = Some(subject.clone());
    artifact.to_raw()
}

pub(crate) fn signature(name: &str, subject: &Descriptor) -> RawManifest {
    artifact(name, &SIGNATURE, subject)
}

pub(crate) fn subject() -> Descriptor {
    Descriptor::of(MediaType::OCI_MANIFEST, b"subject")
}
