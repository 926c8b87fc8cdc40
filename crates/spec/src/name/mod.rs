//! Names: hosts, repositories, tags, and the references made of them.
//!
//! Grammar only, after the reference grammar of the distribution project; no lookup and no I/O. All Docker
//! normalisation is in [`host`] (the hub's aliases) and [`reference`](mod@reference) (default host, `library/`).

pub(crate) mod host;
pub(crate) mod reference;
pub(crate) mod repository;
pub(crate) mod tag;
