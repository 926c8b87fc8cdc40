//! `forward!`: hands whole workflows to an inner registry, so that a wrapper is written in what it changes alone.
//!
//! Pointers to a registry are registries by the same rows. What a workflow's methods are is `table.rs`.

use std::sync::Arc;

/// Implements workflows for a registry around a registry by handing every call to the inner one.
///
/// `forward!(Wrapper<R>, inner: Pull, Discover)` makes `Wrapper<R>` a [`Pull`](crate::Pull) wherever `R` is one, and a
/// [`Discover`](crate::Discover) likewise, through the field `inner`. Without `<R>` the field's own type has to be a
/// registry. What the wrapper changes is written out; a workflow that is neither forwarded nor written is not there, and
/// the compiler says so.
///
/// ```
/// use std::sync::Arc;
/// use gantri_core::{Memory, Registry};
///
/// /// All that is asked of it, it asks another.
/// #[derive(Debug)]
/// struct Plain<R> {
///     inner: R,
/// }
///
/// gantri_core::forward!(Plain<R>, inner: Pull, Push, Discover, Manage);
///
/// let _: Arc<dyn Registry> = Arc::new(Plain { inner: Memory::new() });
/// ```
#[macro_export]
macro_rules! forward {
    ($name:ident<$inner:ident>, $field:ident: $($workflow:ident),+ $(,)?) => {
        $($crate::__table! { $workflow, __forward! { [$inner: $crate::$workflow] $name<$inner>, this => &this.$field } })+
    };
    ($name:ident, $field:ident: $($workflow:ident),+ $(,)?) => {
        $($crate::__table! { $workflow, __forward! { [] $name, this => &this.$field } })+
    };
}

/// One workflow of one type: each row a method that calls the same method of `$to`.
#[doc(hidden)]
#[macro_export]
macro_rules! __forward {
    (
        { [$($generics:tt)*] $name:ty, $this:ident => $to:expr }
        $workflow:ident async { $($method:ident($($arg:ident: $from:ty),*) -> $answer:ty;)* }
        $(says { $($word:ident() -> $said:ty;)* })?
    ) => {
        const _: () = {
            use $crate::__vocabulary::*;

            #[deny(clippy::missing_trait_methods)]
            #[async_trait]
            impl<$($generics)*> $crate::$workflow for $name {
                $(async fn $method(&self, $($arg: $from),*) -> Result<$answer> {
                    let $this = self;
                    $crate::$workflow::$method($to, $($arg),*).await
                })*

                $($(fn $word(&self) -> $said {
                    let $this = self;
                    $crate::$workflow::$word($to)
                })*)?
            }
        };
    };
    (
        { [$($generics:tt)*] $name:ty, $this:ident => $to:expr }
        $workflow:ident listing { $($method:ident($($arg:ident: $from:ty),*) -> $item:ty;)* }
    ) => {
        const _: () = {
            use $crate::__vocabulary::*;

            #[deny(clippy::missing_trait_methods)]
            impl<$($generics)*> $crate::$workflow for $name {
                $(fn $method(&self, $($arg: $from),*) -> BoxStream<'static, Result<$item>> {
                    let $this = self;
                    $crate::$workflow::$method($to, $($arg),*)
                })*
            }
        };
    };
}

/// The names that the rows are written in, wherever they are read.
#[doc(hidden)]
pub mod vocabulary {
    pub use async_trait::async_trait;
    pub use futures_util::stream::BoxStream;
    pub use gantri_spec::{
        Algorithm, ByteRange, Descriptor, Digest, MediaType, RawManifest, RepositoryName, Selector, Tag,
    };

    pub use crate::{BlobBody, BlobReader, BlobUpload, Mount, PutManifest, Result, UploadSession};
}

/// A pointer to a registry is a registry, so that a wrapper takes an `Arc<dyn Registry>` like any other.
macro_rules! pointers {
    ($($pointer:ident: $($workflow:ident),+;)+) => {
        $($(crate::__table! {
            $workflow, __forward! { [R: crate::$workflow + ?Sized] $pointer<R>, this => &**this }
        })+)+
    };
}

pointers! {
    Arc: Pull, Push, Discover, Manage;
    Box: Pull, Push, Discover, Manage;
}
