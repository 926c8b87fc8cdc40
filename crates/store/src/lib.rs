//! Registries at rest: an [OCI image layout] as a registry.
//!
//! [`Layout`] has two shapes. [`Layout::open`] is one image layout, a registry of a single repository that `skopeo`,
//! `umoci`, `crane` and the others read and write too; [`Layout::tree`] keeps one image layout for each repository in a
//! directory below one root.
//!
//! ```no_run
//! use gantri_core::{Pull, spec::{RepositoryName, Selector, Tag}};
//! use gantri_store::Layout;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let layout = Layout::open("images/app").await?;
//! let any_name: RepositoryName = "app".parse()?;
//! let manifest = layout.manifest(&any_name, &Selector::Tag(Tag::latest())).await?;
//! println!("{}", manifest.digest());
//! # Ok(())
//! # }
//! ```
//!
//! What it promises: nothing is visible under its name before its size and digest are checked and its bytes are on
//! disk; many processes may write to one layout at a time; what is read is held to its digest; no symbolic link inside
//! a layout is ever followed.
//!
//! [OCI image layout]: https://github.com/opencontainers/image-spec/blob/main/image-layout.md

mod blocking;
mod dir;
mod entries;
mod graph;
mod layout;
mod outgoing;
mod reading;
mod stored;

pub use layout::{Draft, Layout};
