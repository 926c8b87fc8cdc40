//! The contract of the traits, held by both shapes of a layout, and by archives as far as they are read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod archived;

use gantri_core::filter::ReadOnly;
use gantri_core::testkit::{Feature, Profile, Subject};
use gantri_store::Layout;

use self::archived::Archived;

gantri_core::registry_suite! {
    layout => async {
        let dir = tempfile::tempdir().unwrap();
        Subject::new(Layout::create(dir.path()).await.unwrap()).holding(dir)
    };
    profile: Profile::FULL.without(Feature::Repositories);
}

gantri_core::registry_suite! {
    tree => async {
        let dir = tempfile::tempdir().unwrap();
        Subject::new(Layout::tree(dir.path()).await.unwrap()).holding(dir)
    };
    profile: Profile::FULL;
}

gantri_core::registry_suite! {
    archive => async {
        let dir = tempfile::tempdir().unwrap();
        let behind = Layout::create(dir.path().join("layout")).await.unwrap();
        Subject::new(ReadOnly::new(Archived::new(dir.path()))).seeded_by(behind).holding(dir)
    };
    profile: Profile::FULL
        .without(Feature::Push)
        .without(Feature::Repositories)
        .without(Feature::DeleteTag)
        .without(Feature::DeleteManifest)
        .without(Feature::DeleteBlob);
}
