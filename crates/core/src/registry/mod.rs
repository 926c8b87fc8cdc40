//! The contract: what every registry does, sorted by the four workflows of the distribution spec.
//!
//! These traits are for *implementers*: few methods, all required, no conveniences. What callers like to have is in
//! [`PullExt`]. Errors are promised by kind, and the behaviour suite holds every backend to them. A registry around a
//! registry hands on what it does not change with [`forward!`](crate::forward).

mod discover;
mod ext;
pub(crate) mod forward;
mod manage;
mod pull;
mod push;
mod table;

pub use self::discover::Discover;
pub use self::ext::{PullExt, body_of, send_body};
pub use self::manage::Manage;
pub use self::pull::Pull;
pub use self::push::{MissingChildren, Mount, Push, PutManifest};

/// All four workflows.
pub trait Registry: Pull + Push + Discover + Manage {}

impl<T: Pull + Push + Discover + Manage + ?Sized> Registry for T {}
