//! Registries at rest: an [OCI image layout], or an image archive, as a registry.
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
//! [`Archive`] is an image archive, a tar file: an `oci-archive`, which holds an image layout, or a `docker-archive`, which
//! `docker save` writes and `docker load` reads. It is read where it lies, without being unpacked, as a registry of a
//! single repository; [`Archive::draft`] makes one.
//!
//! ```no_run
//! use gantri_core::Pull;
//! use gantri_store::{Archive, ArchiveKind, Existing};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let archive = Archive::open("app.tar").await?;
//! let image = archive.select(Some("ghcr.io/gantri/app:v1"))?;
//! let manifest = archive.manifest(&"app".parse()?, &image).await?;
//!
//! let mut draft = Archive::draft("new.tar", ArchiveKind::Docker, Existing::Add).await?;
//! draft.name("ghcr.io/gantri/app:v1".parse()?);
//! // Fill `draft.layout()`, a registry as any other, with an image under the tag `v1`; then:
//! draft.publish().await?;
//! # Ok(())
//! # }
//! ```
//!
//! What they promise: nothing is visible under its name before its size and digest are checked and its bytes are on
//! disk; many processes may write to one layout, or add to one archive, at a time; what is read is held to its digest;
//! no link inside a layout or an archive is ever followed out of it.
//!
//! [OCI image layout]: https://github.com/opencontainers/image-spec/blob/main/image-layout.md

mod archive;
mod blocking;
mod dir;
mod entries;
mod graph;
mod layout;
mod outgoing;
mod reading;
mod stored;

pub use archive::{Archive, ArchiveDraft, ArchiveImage, ArchiveKind, Existing};
pub use layout::{Collected, Draft, Layout, Untagged};
