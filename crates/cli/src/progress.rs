//! Progress on standard error: bars on a terminal, elsewhere a plain line every few seconds.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantri::{Digest, Event, NoObserver, Observer};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Time between two plain lines.
const EVERY: Duration = Duration::from_secs(3);

/// The observer that fits: none when quiet, bars on a terminal, else lines.
pub(crate) fn observer(quiet: bool) -> Arc<dyn Observer> {
    if quiet {
        Arc::new(NoObserver)
    } else if std::io::stderr().is_terminal() {
        Arc::new(Bars::default())
    } else {
        Arc::new(Lines { tally: Mutex::new(Tally::new(Instant::now())) })
    }
}

/// One bar for each blob under way.
#[derive(Debug, Default)]
struct Bars {
    all: MultiProgress,
    bars: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Observer for Bars {
    fn event(&self, event: &Event<'_>) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started(blob) => {
                let bar = ProgressBar::new(blob.size).with_message(short(&blob.digest)).with_style(style());
                bars.insert(blob.digest.clone(), self.all.add(bar));
            }
            Event::Bytes { of, count } => {
                if let Some(bar) = bars.get(&of.digest) {
                    bar.inc(*count);
                }
            }
            Event::Finished(blob) => {
                if let Some(bar) = bars.remove(&blob.digest) {
                    bar.finish_and_clear();
                }
            }
            Event::Notice(text) => {
                let _ = self.all.println(note(text));
            }
            Event::Waiting { host, pause } => {
                let _ = self.all.println(note(&waiting(host, *pause)));
            }
            _ => {}
        }
    }
}

fn note(text: &str) -> String {
    format!("note: {}", gantri::display_untrusted(text))
}

fn waiting(host: &str, pause: Duration) -> String {
    format!("{host} asks to wait {} seconds", pause.as_secs())
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{msg} {bar:30} {bytes:>10} / {total_bytes:<10} {bytes_per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn short(digest: &Digest) -> String {
    digest.encoded().chars().take(12).collect()
}

/// A line now and then, for logs.
#[derive(Debug)]
struct Lines {
    tally: Mutex<Tally>,
}

#[derive(Debug)]
struct Tally {
    bytes: u64,
    expected: u64,
    finished: u64,
    started: u64,
    last: Instant,
}

impl Tally {
    fn new(now: Instant) -> Self {
        Self { bytes: 0, expected: 0, finished: 0, started: 0, last: now }
    }

    /// Counts the event; the line to print, if one is due.
    fn note(&mut self, event: &Event<'_>, now: Instant) -> Option<String> {
        match event {
            Event::Started(blob) => {
                self.started += 1;
                self.expected += blob.size;
            }
            Event::Bytes { count, .. } => self.bytes += count,
            Event::Finished(_) => self.finished += 1,
            Event::Notice(text) => return Some(note(text)),
            Event::Waiting { host, pause } => return Some(note(&waiting(host, *pause))),
            _ => {}
        }
        (now.duration_since(self.last) >= EVERY).then(|| {
            self.last = now;
            let Self { bytes, expected, finished, started, .. } = self;
            format!("{} of {} MiB, {finished} of {started} blobs", *bytes >> 20, *expected >> 20)
        })
    }
}

impl Observer for Lines {
    fn event(&self, event: &Event<'_>) {
        let line = self.tally.lock().unwrap_or_else(PoisonError::into_inner).note(event, Instant::now());
        if let Some(line) = line {
            // A closed standard error is no reason to stop the job.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use gantri::spec::{Descriptor, MediaType};

    use super::*;

    #[test]
    fn lines_come_every_few_seconds_and_not_more_often() {
        let start = Instant::now();
        let mut tally = Tally::new(start);
        let blob = Descriptor::new(MediaType::OCI_LAYER_GZIP, Digest::of(b"x"), 4 << 20);
        let bytes = Event::Bytes { of: &blob, count: 1 << 20 };
        assert_eq!(tally.note(&Event::Started(&blob), start), None);
        assert_eq!(tally.note(&bytes, start + Duration::from_secs(1)), None);
        assert_eq!(tally.note(&bytes, start + EVERY).as_deref(), Some("2 of 4 MiB, 0 of 1 blobs"));
        assert_eq!(tally.note(&bytes, start + EVERY + Duration::from_secs(1)), None);
        assert_eq!(tally.note(&Event::Notice("a\u{1b}b"), start).as_deref(), Some("note: a\\u{1b}b"));
        let waiting = Event::Waiting { host: "a.test", pause: Duration::from_secs(20) };
        assert_eq!(tally.note(&waiting, start).as_deref(), Some("note: a.test asks to wait 20 seconds"));
    }
}
