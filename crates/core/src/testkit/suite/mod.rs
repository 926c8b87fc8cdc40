//! The rules, sorted by workflow, and what their wording needs.
//!
//! Each file lists its rules at the head in a `cases!` table, with the features that a rule needs; a rule that is not
//! listed is dead code and does not build.

/// Makes the table of a file's rules: a `cases` module that runs each one, and the exported macro that turns them into
/// tests. `[Feature, ..]` behind the macro's name holds for all rules of the file, behind a rule for that one.
macro_rules! cases {
    ($d:tt $export:ident in $module:ident needs [$($always:ident),*]; $($case:ident $([$($need:ident),+])?,)+) => {
        #[doc(hidden)]
        pub mod cases {
            use crate::testkit::{Feature, Trial};

            const ALWAYS: &[Feature] = &[$(Feature::$always),*];

            pub const ALL: &[(&str, fn(Trial))] =
                &[$((concat!(stringify!($module), "::", stringify!($case)), $case)),+];

            $(pub fn $case(trial: Trial) {
                trial.run(&[ALWAYS, &[$($(Feature::$need),+)?]].concat(), super::$case);
            })+
        }

        #[doc(hidden)]
        #[macro_export]
        macro_rules! $export {
            ($d name:ident) => {
                $(#[test]
                fn $case() {
                    $d crate::testkit::suite::$module::cases::$case(super::super::$d name());
                })+
            };
        }
    };
}

pub mod discover;
pub mod manage;
pub mod pull;
pub mod push;

use bytes::Bytes;
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use gantri_spec::{ByteRange, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag};

pub use self::pull::ranges;
pub use self::push::{blobs, manifests, mounts, uploads};
use super::Trial;
use crate::{ErrorKind, Pull, Registry, Result};

/// Every rule with its name, for whoever makes no test of each: a backend in many variants, say.
pub fn rules() -> impl Iterator<Item = (&'static str, fn(Trial))> {
    let of_pull = [pull::cases::ALL, ranges::cases::ALL];
    let of_push = [blobs::cases::ALL, uploads::cases::ALL, mounts::cases::ALL, manifests::cases::ALL];
    let of_others = [discover::cases::ALL, manage::cases::ALL];
    of_pull.into_iter().chain(of_push).chain(of_others).flatten().copied()
}

/// No such manifest: backends that can tell say that there is not even the repository.
const NO_MANIFEST: &[ErrorKind] = &[ErrorKind::ManifestUnknown, ErrorKind::RepositoryUnknown];
/// No such blob, likewise.
const NO_BLOB: &[ErrorKind] = &[ErrorKind::BlobUnknown, ErrorKind::RepositoryUnknown];
/// More than any test puts in a blob.
const ENOUGH: u64 = 64 << 20;

/// A repository's name, from a literal.
#[track_caller]
pub(super) fn repo(name: &str) -> RepositoryName {
    match name.parse() {
        Ok(name) => name,
        Err(error) => panic!("{name:?}: {error}"),
    }
}

/// A tag, from a literal.
#[track_caller]
pub(super) fn tag(name: &str) -> Tag {
    match name.parse() {
        Ok(tag) => tag,
        Err(error) => panic!("{name:?}: {error}"),
    }
}

/// Asserts that it failed, as one of these kinds.
#[track_caller]
pub(super) fn assert_kind<T>(outcome: Result<T>, kinds: &[ErrorKind]) {
    match outcome {
        Ok(_) => panic!("succeeded, {kinds:?} expected"),
        Err(error) => assert!(kinds.contains(&error.kind()), "{:?}, {kinds:?} expected: {error}", error.kind()),
    }
}

pub(super) fn at(name: &str) -> Selector {
    Selector::Tag(tag(name))
}

/// A manifest's bytes of a type, under the name of their SHA-256.
fn raw(media_type: MediaType, bytes: impl Into<Bytes>) -> RawManifest {
    RawManifest::new(media_type, bytes.into())
}

/// Bytes that repeat nowhere nearby, so that chunks in wrong places show.
fn noise(length: usize) -> Bytes {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// The blob whole.
async fn whole(registry: &(impl Pull + ?Sized), repo: &RepositoryName, digest: &Digest) -> Result<Bytes> {
    registry.blob(repo, digest, ByteRange::Full).await?.bytes(ENOUGH).await
}

/// Asserts that neither resolving nor fetching finds the blob.
async fn assert_no_blob(registry: &dyn Registry, repo: &RepositoryName, digest: &Digest) {
    assert_kind(registry.resolve_blob(repo, digest).await, NO_BLOB);
    assert_kind(registry.blob(repo, digest, ByteRange::Full).await, NO_BLOB);
}

/// Asserts that neither resolving nor fetching finds the manifest.
async fn assert_no_manifest(registry: &dyn Registry, repo: &RepositoryName, at: &Selector) {
    assert_kind(registry.resolve_manifest(repo, at).await, NO_MANIFEST);
    assert_kind(registry.manifest(repo, at).await, NO_MANIFEST);
}

/// Asserts that a manifest fetched is the one expected: type, digest and every byte.
#[track_caller]
fn assert_same(fetched: &RawManifest, expected: &RawManifest) {
    assert_eq!(fetched.digest(), expected.digest(), "digest");
    assert_eq!(fetched.media_type(), expected.media_type(), "media type");
    assert_eq!(fetched.bytes(), expected.bytes(), "bytes");
}

/// All of a listing.
async fn all<T>(listing: BoxStream<'static, Result<T>>) -> Result<Vec<T>> {
    listing.try_collect().await
}
