//! The behaviour suite: what the four traits promise, one named test a rule, run by every backend.
//!
//! [`registry_suite!`](crate::registry_suite) makes the tests of one backend; a [`Subject`] is the registry they run
//! on, a [`Profile`] what it lacks, and [`Content`] declares what a test needs to be there. A rule asserts kinds of
//! errors, never texts. A bug found in one backend becomes a case for all. [`Flaky`] is the backend that fails.
//!
//! ```
//! use gantri_core::Memory;
//! use gantri_core::testkit::{Feature, Profile, Subject};
//!
//! gantri_core::registry_suite! {
//!     memory => async {
//!         let whatever_must_stay_alive = ();
//!         Subject::new(Memory::new()).holding(whatever_must_stay_alive)
//!     };
//!     profile: Profile::FULL.without(Feature::Referrers);
//! }
//! ```

mod content;
mod flaky;
mod lack;
mod profile;
mod subject;
#[doc(hidden)]
pub mod suite;
mod trial;

pub use self::content::Content;
pub use self::flaky::{Fault, Flaky};
pub use self::profile::{Feature, Profile};
pub use self::subject::Subject;
pub use self::suite::rules;
pub use self::trial::{Broken, Outcome, Trial};

/// Makes one test for each rule of the contract, named `<name>::<workflow>::<rule>`.
///
/// `<name> => async { .. }` gives a fresh [`Subject`], or a bare registry, for each test; it
/// runs on a multi-threaded runtime that is the test's own. `profile` says what the backend lacks; each rule about a
/// thing it lacks then tests how it says so.
#[macro_export]
macro_rules! registry_suite {
    ($name:ident => async $subject:block; profile: $profile:expr $(;)?) => {
        fn $name() -> $crate::testkit::Trial {
            $crate::testkit::Trial::new($profile, async { $crate::testkit::Subject::from($subject) })
        }

        mod $name {
            mod pull {
                $crate::__pull_cases! { $name }
                $crate::__pull_range_cases! { $name }
            }
            mod push {
                $crate::__push_blob_cases! { $name }
                $crate::__push_upload_cases! { $name }
                $crate::__push_mount_cases! { $name }
                $crate::__push_manifest_cases! { $name }
            }
            mod discover {
                $crate::__discover_cases! { $name }
            }
            mod manage {
                $crate::__manage_cases! { $name }
            }
        }
    };
}
