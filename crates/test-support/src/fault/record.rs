//! What the proxy was asked, and what it did about it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use gantri_spec::{Digest, wire::Endpoint};
use tokio::sync::Notify;

use super::mode::Mode;
use super::wire::Head;

/// One request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// The number of the connection that it came by, from 1.
    pub connection: u32,
    /// Whether that was TLS.
    pub secure: bool,
    /// When its head had come, from the start of the proxy.
    pub at: Duration,
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path and query.
    pub target: String,
    /// As they came.
    pub headers: Vec<(String, String)>,
    /// Bytes of its body that were read, until it ended or the fault befell it.
    pub received: u64,
    /// The digest of those, once it is known.
    pub digest: Option<Digest>,
    /// The first of them.
    pub beginning: Bytes,
    /// What was done to it.
    pub mode: Option<Mode>,
    /// The status that was answered, if any was.
    pub status: Option<u16>,
    /// Bytes of the answer's body that were written.
    pub sent: u64,
    /// Whether all was done to it that will be: nothing here changes any more.
    pub over: bool,
}

impl Record {
    pub(super) fn new(connection: u32, secure: bool, at: Duration, head: &Head) -> Self {
        Self {
            connection,
            secure,
            at,
            method: head.word(0).to_owned(),
            target: head.word(1).to_owned(),
            headers: head.headers.clone(),
            received: 0,
            digest: None,
            beginning: Bytes::new(),
            mode: None,
            status: None,
            sent: 0,
            over: false,
        }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// What the spec calls it, if it is of the spec.
    pub fn endpoint(&self) -> Option<Endpoint> {
        let (path, query) = self.target.split_once('?').map_or((self.target.as_str(), None), |(p, q)| (p, Some(q)));
        Endpoint::parse(&self.method.parse().ok()?, path, query).ok()
    }

    /// One line for people: when, what, what came of it. No header but `Range` is shown, and no query.
    pub fn line(&self) -> String {
        let path = self.target.split('?').next().unwrap_or_default();
        let host = self.header("host").unwrap_or_default();
        let ranges = ["range", "content-range"].into_iter().filter_map(|name| self.header(name));
        let ranges: Vec<_> = ranges.map(|range| format!(" [{range}]")).collect();
        let auth = if self.header("authorization").is_some() { " +auth" } else { "" };
        let body = if self.received > 0 { format!(", {} bytes in", self.received) } else { String::new() };
        let status = self.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let mode = self.mode.map(|mode| format!("  ({mode})")).unwrap_or_default();
        let (at, number, method, sent) = (self.at.as_secs_f64(), self.connection, &self.method, self.sent);
        let ranges = ranges.concat();
        format!("{at:8.3}s #{number} {method:6} {host}{path}{ranges}{auth}{body} -> {status}, {sent} bytes out{mode}")
    }
}

/// All records, as they grow.
#[derive(Clone, Debug, Default)]
pub(super) struct Records(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    records: Mutex<Vec<Record>>,
    changed: Notify,
}

impl Records {
    /// Keeps a record, and says where.
    pub(super) fn add(&self, record: Record) -> usize {
        let mut records = self.lock();
        records.push(record);
        let at = records.len() - 1;
        drop(records);
        self.0.changed.notify_waiters();
        at
    }

    pub(super) fn change(&self, at: usize, change: impl FnOnce(&mut Record)) {
        if let Some(record) = self.lock().get_mut(at) {
            change(record);
        }
        self.0.changed.notify_waiters();
    }

    pub(super) fn all(&self) -> Vec<Record> {
        self.lock().clone()
    }

    /// Waits until the records are as wanted.
    pub(super) async fn until(&self, wanted: impl Fn(&[Record]) -> bool) {
        loop {
            let changed = self.0.changed.notified();
            let mut changed = std::pin::pin!(changed);
            changed.as_mut().enable();
            if wanted(&self.lock()) {
                return;
            }
            changed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.0.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
