//! Leaving the reactor: every call that may touch the disk goes through here.

use gantri_core::{Error, ErrorKind, Result};

/// Starts work on a thread that may block, at once; the future gives its outcome. If the future is dropped, work that has
/// begun goes on to its end.
///
/// # Errors
/// Those of the work; `Unavailable` if the runtime is being shut down.
pub(crate) fn blocking<T, W>(work: W) -> impl Future<Output = Result<T>> + Send + use<T, W>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T> + Send + 'static,
{
    let task = tokio::task::spawn_blocking(work);
    async move {
        match task.await {
            Ok(outcome) => outcome,
            Err(lost) => match lost.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Error::new(ErrorKind::Unavailable, "use the disk: the runtime is shutting down")),
            },
        }
    }
}
