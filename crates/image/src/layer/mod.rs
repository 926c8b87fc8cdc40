//! A layer on its way from a registry to the file system: received into a spool, inflated, held to its names.
//!
//! Everything here is blocking but [`spool::Inlet::receive`]; which thread does what is decided in
//! [`unpack::pipeline`](crate::unpack).

pub(crate) mod compression;
pub(crate) mod diff_id;
pub(crate) mod growth;
pub(crate) mod spool;
