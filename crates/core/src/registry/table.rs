//! Every signature of the four traits once more, as rows that macros can read.
//!
//! `__table!(Pull, then! args)` becomes `then! { args Pull async { rows } }`, and `__table!(Discover, ..)` the same with
//! `listing` for `async`: its methods give a stream at once. [`forward!`](crate::forward) makes impls of the rows. The
//! traits themselves stay written by hand, for they are the documentation; a row that is missing here, or says something
//! else than its trait, does not build.

/// The rows of one workflow, handed to another macro of this crate.
#[doc(hidden)]
#[macro_export]
macro_rules! __table {
    (Pull, $then:ident! $args:tt) => {
        $crate::$then! { $args Pull async {
            resolve_manifest(repo: &RepositoryName, at: &Selector) -> Descriptor;
            manifest(repo: &RepositoryName, at: &Selector) -> RawManifest;
            resolve_blob(repo: &RepositoryName, digest: &Digest) -> Descriptor;
            blob(repo: &RepositoryName, digest: &Digest, range: ByteRange) -> BlobReader;
        } says {
            guards_content() -> bool;
        } }
    };
    (Push, $then:ident! $args:tt) => {
        $crate::$then! { $args Push async {
            put_blob(repo: &RepositoryName, blob: &Descriptor, body: BlobBody) -> ();
            mount_blob(repo: &RepositoryName, digest: &Digest, from: Option<&RepositoryName>) -> Mount;
            start_upload(repo: &RepositoryName, algorithm: Algorithm) -> Box<dyn BlobUpload>;
            resume_upload(repo: &RepositoryName, session: UploadSession) -> Box<dyn BlobUpload>;
            put_manifest(repo: &RepositoryName, manifest: &RawManifest, tags: &[Tag]) -> PutManifest;
        } }
    };
    (Discover, $then:ident! $args:tt) => {
        $crate::$then! { $args Discover listing {
            repositories(after: Option<&RepositoryName>) -> RepositoryName;
            tags(repo: &RepositoryName, after: Option<&Tag>) -> Tag;
            referrers(repo: &RepositoryName, subject: &Digest, artifact_type: Option<&MediaType>) -> Descriptor;
        } }
    };
    (Manage, $then:ident! $args:tt) => {
        $crate::$then! { $args Manage async {
            delete_tag(repo: &RepositoryName, tag: &Tag) -> ();
            delete_manifest(repo: &RepositoryName, digest: &Digest) -> ();
            delete_blob(repo: &RepositoryName, digest: &Digest) -> ();
        } }
    };
}
