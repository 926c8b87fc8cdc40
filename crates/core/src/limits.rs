//! Every bound of the library, in one place.
//!
//! A bound that is hit is [`ErrorKind::LimitExceeded`], and the error names the field and its value. None is unlimited by
//! default.

use std::time::Duration;

use crate::{Error, ErrorKind, Result};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The bounds that reads, waits and loops obey. Start from [`Limits::default`] and set what differs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one manifest or index. Default 8 MiB; the spec asks for support of at least 4 megabytes, so never set it
    /// lower.
    pub manifest: u64,
    /// Bytes of a blob that is held in memory whole: an image config, say. Default 8 MiB.
    pub config: u64,
    /// Bytes of an error body that are read. Default 64 KiB.
    pub error_body: u64,
    /// Bytes of a token server's answer. Default 64 KiB.
    pub token_body: u64,
    /// Bytes of one page of a listing. Default 8 MiB.
    pub list_page: u64,
    /// Pages of one listing (M11). Default 10,000.
    pub list_pages: u32,
    /// Items of one listing (M11). Default 1,000,000.
    pub list_items: u64,
    /// Hops that one request follows. Default 5.
    pub redirects: u32,
    /// Tries of one request, the first included. A request that was told to wait, and waited, starts its count anew if
    /// others of this process got through to the host meanwhile; `retry_total` bounds that. Default 5.
    pub request_tries: u32,
    /// Times a broken body is taken up again without one new byte (H2). Default 5.
    pub resume_tries: u32,
    /// Time that all tries of one request may take together, from when it is first sent. Default 2 minutes.
    pub retry_total: Duration,
    /// The longest that the pause before the second try may be; it doubles with every try. Each pause is a random part of
    /// it. Default 100 milliseconds.
    pub retry_pause: Duration,
    /// The longest pause of our own choosing. Default 30 seconds.
    pub retry_pause_most: Duration,
    /// Tries beyond their first that all requests to one host may make in a row (H25). One comes back every second, and one
    /// for every two requests that are answered; who finds none left waits for it. Default 40.
    pub retry_budget: u32,
    /// The longest `Retry-After` that is waited for (H8). Default 60 seconds.
    pub retry_after: Duration,
    /// Time to connect, TLS included. Default 10 seconds.
    pub connect: Duration,
    /// Time from a request, or from the end of its body, to the head of its answer; also the longest that a body's source
    /// may have nothing to send. Default 60 seconds.
    pub first_byte: Duration,
    /// Time between two chunks of an answer's body, and (on Linux) between two signs that what was sent arrives. Default
    /// 30 seconds.
    pub idle: Duration,
    /// Bytes that a body must bring in each `slow_window` of waiting for it, or that must go out of one in as much waiting
    /// for the other side, or it counts as stalled (H11). Default 60 KiB.
    pub slow_bytes: u64,
    /// See `slow_bytes`. Default 60 seconds.
    pub slow_window: Duration,
    /// Requests in flight to one host: sent, and not answered yet; so many again whose bodies are streamed. Default 8.
    pub concurrent_requests: usize,
    /// Requests to one host whose answers are not read to their end: in HTTP/1, as many connections. Who finds no room waits
    /// for it as long as for a first byte. Default 100.
    pub connections: usize,
    /// Different warnings of one registry that are passed on. Default 16.
    pub warnings: usize,
    /// Bytes of the warnings of one answer that are looked at. Default 4,096, which is what the spec allows.
    pub warning_bytes: usize,
    /// Layers fetched or sent at the same time by one job. Default 3.
    pub concurrent_layers: usize,
    /// Bytes of an upload that are held in memory to be sent again: the largest chunk that is not streamed. Default 8 MiB.
    pub chunk: u64,
    /// Bytes up to which a blob of known size is sent in one request, to be sent again whole if that breaks off; what is
    /// larger goes in a session that can be taken up where it stands. Default 64 MiB.
    pub monolithic_put: u64,
    /// Bytes that a registry may ask for as the least chunk (`OCI-Chunk-Min-Length`); such chunks are streamed. Default
    /// 256 MiB.
    pub chunk_min: u64,
    /// Bytes of a streamed body from which on its head is sent first and the registry's leave is waited for
    /// (`Expect: 100-continue`), so that a refusal costs no body (H12). Default 1 MiB.
    pub expect_from: u64,
    /// The longest wait for that leave; then the body is sent without it. Default 1 second.
    pub expect_wait: Duration,
    /// Indexes inside indexes (M12). Default 4.
    pub index_depth: u32,
    /// Manifests that one job looks at; of a copy, manifests and blobs below one root (M12). Default 100,000.
    pub graph_nodes: u64,
    /// Times that a list of referrers kept under a tag is written again because somebody else wrote it too. Default 16.
    pub referrers_rounds: u32,
    /// The least time that such a list must stay as it was written before it counts as written. Default 200 milliseconds.
    pub referrers_settle: Duration,
    /// Layers of one image. Default 4,096.
    pub layers: usize,
    /// Uncompressed bytes of one layer (T8). Default 64 GiB.
    pub unpack_layer_bytes: u64,
    /// Uncompressed bytes of one image (T8). Default 256 GiB.
    pub unpack_bytes: u64,
    /// Uncompressed bytes for each compressed byte, looked at once a layer has grown past 1 GiB (T8). Default 1,100;
    /// deflate tops out near 1,032.
    pub unpack_ratio: u64,
    /// Entries of one layer (T10). Default 5,000,000.
    pub unpack_entries: u64,
    /// Bytes of a path, and of a link's target, in a layer (T10). Default 4,096.
    pub unpack_path: usize,
    /// Bytes of one entry's extended header (T6). Default 1 MiB.
    pub unpack_record: usize,
    /// Headers of one image archive (T10). Default 100,000.
    pub archive_entries: u64,
    /// Extended attributes of one entry. Default 256.
    pub xattrs: usize,
    /// Bytes of one entry's extended attributes together. Default 1 MiB.
    pub xattr_bytes: usize,
    /// Bytes that a zstd frame may ask for as its window. Default 128 MiB.
    pub zstd_window: u64,
    /// Time that a credential helper may take, which may ask its user (A14). Default 30 seconds.
    pub credential_helper: Duration,
    /// Bytes of a credential: a helper's answer, a password on standard input (A14). Default 64 KiB.
    pub credential: u64,
    /// Bytes of a file that holds credentials. Default 1 MiB.
    pub credential_file: u64,
    /// Time to wait for somebody else who is changing such a file. Default 10 seconds.
    pub credential_lock: Duration,
}

/// No window of zstd is smaller, and a smaller bound would be taken for none.
const SMALLEST_WINDOW: u64 = KIB;

impl Limits {
    /// Whether each of these bounds can be kept: with nothing in flight, no try, no time and no memory nothing is ever
    /// done, and nobody guesses what was meant by it. Whoever takes limits looks, before anything is sent.
    ///
    /// # Errors
    /// `Config` with the field that is too small: `request_tries`, `connect`, `first_byte`, `idle`, `slow_window`,
    /// `credential_helper`, `concurrent_requests`, `connections`, `concurrent_layers` and `chunk` must not be zero,
    /// `zstd_window` is at least 1 KiB.
    pub fn check(&self) -> Result<()> {
        let times = [
            ("connect", self.connect),
            ("first_byte", self.first_byte),
            ("idle", self.idle),
            ("slow_window", self.slow_window),
            ("credential_helper", self.credential_helper),
        ];
        let numbers = [
            ("request_tries", u64::from(self.request_tries), 1),
            ("concurrent_requests", self.concurrent_requests as u64, 1),
            ("connections", self.connections as u64, 1),
            ("concurrent_layers", self.concurrent_layers as u64, 1),
            ("chunk", self.chunk, 1),
            ("zstd_window", self.zstd_window, SMALLEST_WINDOW),
        ];
        let too_small = |what: String| Err(Error::new(ErrorKind::Config, what));
        if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return too_small(format!("limit {name} = 0: some time is needed"));
        }
        match numbers.iter().find(|(_, value, least)| value < least) {
            Some((name, value, least)) => too_small(format!("limit {name} = {value}: at least {least} is needed")),
            None => Ok(()),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest: 8 * MIB,
            config: 8 * MIB,
            error_body: 64 * KIB,
            token_body: 64 * KIB,
            list_page: 8 * MIB,
            list_pages: 10_000,
            list_items: 1_000_000,
            redirects: 5,
            request_tries: 5,
            resume_tries: 5,
            retry_total: Duration::from_secs(120),
            retry_after: Duration::from_secs(60),
            retry_pause: Duration::from_millis(100),
            retry_pause_most: Duration::from_secs(30),
            retry_budget: 40,
            connect: Duration::from_secs(10),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(30),
            slow_bytes: 60 * KIB,
            slow_window: Duration::from_secs(60),
            concurrent_requests: 8,
            connections: 100,
            warnings: 16,
            warning_bytes: 4_096,
            concurrent_layers: 3,
            chunk: 8 * MIB,
            monolithic_put: 64 * MIB,
            chunk_min: 256 * MIB,
            expect_from: MIB,
            expect_wait: Duration::from_secs(1),
            index_depth: 4,
            graph_nodes: 100_000,
            referrers_rounds: 16,
            referrers_settle: Duration::from_millis(200),
            layers: 4_096,
            unpack_layer_bytes: 64 * GIB,
            unpack_bytes: 256 * GIB,
            unpack_ratio: 1_100,
            unpack_entries: 5_000_000,
            unpack_path: 4_096,
            unpack_record: 1 << 20,
            archive_entries: 100_000,
            xattrs: 256,
            xattr_bytes: 1 << 20,
            zstd_window: 128 * MIB,
            credential_helper: Duration::from_secs(30),
            credential: 64 * KIB,
            credential_file: MIB,
            credential_lock: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O1: a bound that can't be kept is an error that names it, and never another bound.
    #[test]
    fn a_bound_that_cannot_be_kept_is_named() {
        type Set = fn(&mut Limits);
        let cases: [(&str, Set); 12] = [
            ("request_tries = 0", |limits| limits.request_tries = 0),
            ("connect = 0", |limits| limits.connect = Duration::ZERO),
            ("first_byte = 0", |limits| limits.first_byte = Duration::ZERO),
            ("idle = 0", |limits| limits.idle = Duration::ZERO),
            ("slow_window = 0", |limits| limits.slow_window = Duration::ZERO),
            ("credential_helper = 0", |limits| limits.credential_helper = Duration::ZERO),
            ("concurrent_requests = 0", |limits| limits.concurrent_requests = 0),
            ("connections = 0", |limits| limits.connections = 0),
            ("concurrent_layers = 0", |limits| limits.concurrent_layers = 0),
            ("chunk = 0", |limits| limits.chunk = 0),
            ("zstd_window = 0", |limits| limits.zstd_window = 0),
            ("zstd_window = 1023", |limits| limits.zstd_window = 1_023),
        ];
        assert!(Limits::default().check().is_ok());
        for (name, set) in cases {
            let mut limits = Limits::default();
            set(&mut limits);
            let error = limits.check().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{name}");
            assert!(error.to_string().starts_with(&format!("limit {name}: ")), "{error}");
        }
        // Nothing at all of what can be done without.
        let mut limits = Limits::default();
        (limits.resume_tries, limits.redirects, limits.monolithic_put, limits.warnings) = (0, 0, 0, 0);
        (limits.retry_total, limits.retry_after, limits.credential_lock) = Default::default();
        assert!(limits.check().is_ok());
    }
}
