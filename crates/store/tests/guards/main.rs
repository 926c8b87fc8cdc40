//! Guards of the layout on disk that the contract of the traits does not speak of, by the rows of the security list.

mod common;
mod disk;
mod hostile;
mod index;
mod tree;
