//! Single flight: the first who wants something done does it, the others wait for that.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use gantri_core::{Error, ErrorKind, Result};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

/// One cell a key. What failed in one is tried again by whoever comes next.
#[derive(Debug)]
pub(crate) struct Flights<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K: Eq + Hash, V> Flights<K, V> {
    pub(crate) fn at(&self, key: K) -> Arc<OnceCell<V>> {
        Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default())
    }
}

impl<K, V> Default for Flights<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// Runs work in a task of its own, so that several can hash at once; it ends with the future that waits for it.
///
/// # Panics
/// If the work does.
pub(crate) async fn in_task<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    let mut task = JoinSet::new();
    task.spawn(work);
    match task.join_next().await {
        Some(Ok(outcome)) => outcome,
        Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        _ => Err(Error::new(ErrorKind::Io, "the runtime is shutting down")),
    }
}
