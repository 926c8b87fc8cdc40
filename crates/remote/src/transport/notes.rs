//! What a registry says beside its answers: warnings, passed on once each, and how many requests it allows.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use gantri_core::error::display_untrusted;
use gantri_core::{Event, Limits, Observer};
use gantri_spec::wire::warnings;
use http::HeaderMap;
use http::header::WARNING;

use super::quota::RateLimit;

/// A pause shorter than this is not worth a word.
const WORTH_A_WORD: Duration = Duration::from_secs(2);

/// Says that a host is left alone for a while.
pub(super) fn waiting(observer: &dyn Observer, host: &str, pause: Duration) {
    tracing::debug!(host, ?pause, "asked to wait");
    if pause >= WORTH_A_WORD {
        observer.event(&Event::Waiting { host, pause });
    }
}

/// What one registry has said so far.
#[derive(Debug)]
pub(super) struct Notes {
    host: String,
    observer: Arc<dyn Observer>,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    warnings: HashSet<String>,
    rate_limit: Option<RateLimit>,
}

impl Notes {
    pub(super) fn new(host: String, observer: Arc<dyn Observer>) -> Self {
        Self { host, observer, said: Mutex::default() }
    }

    /// Takes note of what stands beside an answer of the registry itself.
    pub(super) fn take(&self, headers: &HeaderMap, limits: &Limits) {
        if let Some(rate_limit) = RateLimit::of(headers, SystemTime::now()) {
            self.lock().rate_limit = Some(rate_limit);
        }
        let mut room = limits.warning_bytes;
        for value in headers.get_all(WARNING) {
            let Some(left) = room.checked_sub(value.len()) else { return };
            room = left;
            // Not text by the letter of HTTP, but UTF-8 is what is sent.
            for text in warnings(&String::from_utf8_lossy(value.as_bytes())) {
                self.warn(&text, limits.warnings);
            }
        }
    }

    /// Says that the host is left alone for a while.
    pub(super) fn waiting(&self, host: &str, pause: Duration) {
        waiting(&*self.observer, host, pause);
    }

    pub(super) fn rate_limit(&self) -> Option<RateLimit> {
        self.lock().rate_limit
    }

    fn warn(&self, text: &str, most: usize) {
        let mut said = self.lock();
        if said.warnings.len() >= most || !said.warnings.insert(text.to_owned()) {
            return;
        }
        drop(said);
        let text = display_untrusted(text);
        tracing::warn!(host = self.host, %text, "the registry warns");
        self.observer.event(&Event::Notice(&format!("{} warns: {text}", self.host)));
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
