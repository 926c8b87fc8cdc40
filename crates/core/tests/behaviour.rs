//! The behaviour suite over the registry in memory.

use gantri_core::testkit::Profile;
use gantri_core::{Memory, registry_suite};

registry_suite! {
    memory => async { Memory::new() };
    profile: Profile::FULL;
}
