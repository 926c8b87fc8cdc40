//! The behaviour suite once more with each thing that some registry of the world does otherwise: whatever it is, the
//! contract holds for whoever calls the client, or the profile says what is lacking.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gantri::server::{Quirk, Server, ServerOptions};
use gantri::{Layout, Limits, Memory, Registry, Remote};
use gantri_core::testkit::{Feature, Profile, Subject, Trial, rules};
use tokio::task::JoinSet;

/// One test a quirk; the tests together are all there are.
macro_rules! quirks {
    ($($test:ident: $quirk:expr;)+) => {
        $(#[test]
        fn $test() {
            suite($quirk);
        })+

        #[test]
        fn each_quirk_has_its_test() {
            assert_eq!([$($quirk),+], Quirk::ALL);
        }
    };
}

quirks! {
    no_referrers_api: Quirk::NoReferrersApi;
    referrers_not_acceptable: Quirk::ReferrersNotAcceptable;
    referrers_bad_request: Quirk::ReferrersBadRequest;
    referrers_unauthorized: Quirk::ReferrersUnauthorized;
    referrers_unfiltered: Quirk::ReferrersUnfiltered;
    referrers_tag_is_subject: Quirk::ReferrersTagIsSubject;
    no_digest_on_head: Quirk::NoDigestOnHead;
    no_digest_on_put: Quirk::NoDigestOnPut;
    no_digest_by_tag: Quirk::NoDigestByTag;
    head_not_allowed: Quirk::HeadNotAllowed;
    no_link_header: Quirk::NoLinkHeader;
    page_size_refused: Quirk::PageSizeRefused(1_000);
    null_tags: Quirk::NullTags;
    chunk_out_of_range: Quirk::ChunkOutOfRange(64 << 10);
    body_too_large: Quirk::BodyTooLarge(64 << 10);
    stale_range: Quirk::StaleRange;
    chunk_range: Quirk::ChunkRange;
    no_range: Quirk::NoRange;
    chunk_created: Quirk::ChunkCreated;
    absolute_location: Quirk::AbsoluteLocation;
    portless_location: Quirk::PortlessLocation;
    location_state: Quirk::LocationState;
    mount_unauthorized: Quirk::MountUnauthorized;
    mount_denied: Quirk::MountDenied;
    mount_not_found: Quirk::MountNotFound;
    mount_not_allowed: Quirk::MountNotAllowed;
    mount_starts_upload: Quirk::MountStartsUpload;
    delete_not_allowed: Quirk::DeleteNotAllowed;
    delete_bad_request: Quirk::DeleteBadRequest;
    delete_ok: Quirk::DeleteOk;
    delete_no_content: Quirk::DeleteNoContent;
    delete_tag_unsupported: Quirk::DeleteTagUnsupported;
    chunk_min_length: Quirk::ChunkMinLength(4 << 10);
    multi_tag_ignored: Quirk::MultiTagIgnored;
    session_lost: Quirk::SessionLost(1 << 10);
    commit_fails: Quirk::CommitFails;
    token_dance: Quirk::TokenDance;
    throttled: Quirk::Throttled(1);
    blobs_redirected: Quirk::BlobsRedirected;
}

/// What a registry with this quirk lacks, whatever its client does.
fn profile(quirk: Quirk) -> Profile {
    let full = Profile::FULL;
    match quirk {
        Quirk::MountUnauthorized
        | Quirk::MountDenied
        | Quirk::MountNotFound
        | Quirk::MountNotAllowed
        | Quirk::MountStartsUpload => full.without(Feature::Mount).without(Feature::MountAnywhere),
        Quirk::DeleteNotAllowed | Quirk::DeleteBadRequest => {
            full.without(Feature::DeleteTag).without(Feature::DeleteManifest).without(Feature::DeleteBlob)
        }
        // A mount from wherever would tell who asks what lies where he may not look (R6).
        Quirk::TokenDance => full.without(Feature::MountAnywhere),
        Quirk::DeleteTagUnsupported => full.without(Feature::UntagAtOnce),
        _ => full,
    }
}

/// Rules that the quirk breaks by its nature. That they are broken is tested too.
fn broken(quirk: Quirk) -> &'static [&'static str] {
    match quirk {
        // No manifest goes in pieces.
        Quirk::BodyTooLarge(_) => &["manifests::a_manifest_of_four_megabytes_is_taken"],
        // Whoever writes in steps says how long they are.
        Quirk::ChunkMinLength(_) => &[
            "uploads::a_resumed_upload_stands_where_the_registry_says",
            "uploads::a_second_handle_cannot_write_over_the_first",
            "uploads::a_session_survives_being_written_down",
            "uploads::an_empty_chunk_changes_nothing",
            "uploads::an_interrupted_write_leaves_a_session",
            "uploads::an_upload_outlives_its_handle",
            "uploads::chunks_are_committed_as_one_blob",
            "uploads::chunks_of_any_size_are_committed_in_order",
            "uploads::commit_by_another_algorithm_hashes_again",
            "uploads::the_offset_counts_what_was_written",
            "uploads::uploads_do_not_mix",
        ],
        // What was written in steps can't be read again.
        Quirk::SessionLost(_) => {
            &["uploads::an_interrupted_write_leaves_a_session", "uploads::chunks_of_any_size_are_committed_in_order"]
        }
        // There is nowhere to keep a list.
        Quirk::ReferrersTagIsSubject => &[
            "discover::a_referrer_is_listed_for_its_own_subject_only",
            "discover::a_referrer_put_twice_is_listed_once",
            "discover::a_subject_that_is_not_there_has_referrers",
            "discover::a_subject_without_referrers_lists_none",
            "discover::an_image_without_artifact_type_goes_by_its_config",
            "discover::an_index_can_be_a_referrer",
            "discover::many_referrers_come_complete",
            "discover::referrers_are_filtered_by_artifact_type",
            "discover::referrers_come_with_type_and_annotations",
            "manage::a_deleted_referrer_is_not_listed",
            "manage::a_deleted_subject_keeps_its_referrers",
            "manifests::a_subject_need_not_be_there",
            "manifests::the_answer_names_the_subject",
        ],
        _ => &[],
    }
}

/// Runs every rule over a server with the quirk, before memory and before a tree of layouts.
fn suite(quirk: Quirk) {
    let failed: Mutex<BTreeSet<String>> = Mutex::default();
    let rules: Vec<_> =
        rules().flat_map(|(name, rule)| [(name, rule, Home::Memory), (name, rule, Home::Tree)]).collect();
    std::thread::scope(|scope| {
        for part in rules.chunks(rules.len().div_ceil(WORKERS)) {
            let failed = &failed;
            scope.spawn(move || {
                for (name, rule, home) in part.iter().copied() {
                    let trial = Trial::new(profile(quirk), served(quirk, home));
                    if catch_unwind(AssertUnwindSafe(|| rule(trial))).is_err() {
                        failed.lock().unwrap().insert(name.to_owned());
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.iter().eq(broken(quirk)), "{quirk:?} broke {failed:#?}, not {:#?}", broken(quirk));
}

/// Rules that run at the same time: some quirks make them wait.
const WORKERS: usize = 8;

#[derive(Clone, Copy)]
enum Home {
    Memory,
    Tree,
}

async fn served(quirk: Quirk, home: Home) -> Subject {
    let dir = tempfile::tempdir().unwrap();
    let registry: Arc<dyn Registry> = match home {
        Home::Memory => Arc::new(Memory::new()),
        Home::Tree => Arc::new(Layout::tree(dir.path()).await.unwrap()),
    };
    let options = ServerOptions::default().with_quirk(quirk);
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), registry, options).await.unwrap();
    let host = server.local_addr().to_string().parse().unwrap();
    let mut limits = Limits::default();
    // Nobody else writes here.
    limits.referrers_settle = Duration::from_millis(5);
    // More than one page of the longest listing; or what is refused.
    let page = if matches!(quirk, Quirk::PageSizeRefused(_)) { 2_000 } else { 50 };
    let remote = Remote::builder(host).limits(limits).page_size(Some(page)).build().unwrap();
    let mut running = JoinSet::new();
    running.spawn(server.run(std::future::pending()));
    Subject::new(remote).holding(dir).holding(running)
}
