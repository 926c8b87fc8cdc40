//! The contract of the traits, held by both shapes of a layout.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use gantri_core::testkit::{Feature, Profile, Subject};
use gantri_store::Layout;

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
