//! Registries around registries: each changes one thing and hands on the rest.
//!
//! A filter takes any registry, an `Arc<dyn Registry>` among them, and is one itself, so they stack: what is outermost
//! decides first.
//!
//! ```
//! use std::sync::Arc;
//! use gantri_core::filter::{Prefix, ReadOnly};
//! use gantri_core::{Memory, Registry};
//!
//! let all: Arc<dyn Registry> = Arc::new(Memory::new());
//! let team: Arc<dyn Registry> = Arc::new(ReadOnly::new(Prefix::new(all, "team".parse()?)));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod fallback;
mod immutable;
mod prefix;
mod reach;
mod read_only;
mod relay;
mod select;
mod trace;
mod traced;

pub use self::fallback::{Fallback, Serves};
pub use self::immutable::Immutable;
pub use self::prefix::Prefix;
pub use self::read_only::ReadOnly;
pub use self::select::Select;
pub use self::trace::Trace;
