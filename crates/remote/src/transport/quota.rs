//! What a registry says of how many requests it allows, in the dialects that are about:
//!
//! | header | who |
//! | --- | --- |
//! | `ratelimit-limit: 100;w=21600`, `ratelimit-remaining: 76;w=21600` | Docker Hub |
//! | `RateLimit-Limit: 100, 100;w=60`, `RateLimit-Remaining`, `RateLimit-Reset: 30` | the IETF draft, early |
//! | `RateLimit: "default";r=50;t=30`, `RateLimit-Policy: "default";q=100;w=60` | the IETF draft, late |
//! | `X-RateLimit-Limit`, `-Remaining`, `-Reset` (seconds, or when) | GitHub and many others |

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;

/// How many requests a registry allows, as it said last. All of it is the registry's word: a hint, never a promise.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RateLimit {
    /// So many in each window.
    pub limit: Option<u64>,
    /// So many are left of them.
    pub remaining: Option<u64>,
    /// How long a window is.
    pub window: Option<Duration>,
    /// When the count starts anew, from when that was said.
    pub reset: Option<Duration>,
}

impl RateLimit {
    /// What the headers of an answer say; `None` if they say nothing.
    pub(super) fn of(headers: &HeaderMap, now: SystemTime) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let (late, policy) = (text("ratelimit"), text("ratelimit-policy"));
        let limit = text("ratelimit-limit").or_else(|| text("x-ratelimit-limit"));
        let remaining = text("ratelimit-remaining").or_else(|| text("x-ratelimit-remaining"));
        let reset = text("ratelimit-reset").or_else(|| text("x-ratelimit-reset"));
        let found = Self {
            limit: limit.and_then(leading).or_else(|| parameter(policy?, "q")).or_else(|| parameter(late?, "limit")),
            remaining: remaining
                .and_then(leading)
                .or_else(|| parameter(late?, "r"))
                .or_else(|| parameter(late?, "remaining")),
            window: [limit, remaining, policy].into_iter().flatten().find_map(|said| parameter(said, "w")).map(seconds),
            reset: reset
                .and_then(leading)
                .or_else(|| parameter(late?, "t"))
                .or_else(|| parameter(late?, "reset"))
                .map(|reset| from_now(reset, now)),
        };
        (found != Self::default()).then_some(found)
    }
}

/// The number that a value begins with: `100` of `100;w=21600` and of `100, 100;w=60`.
fn leading(value: &str) -> Option<u64> {
    value.split([';', ',']).next()?.trim().parse().ok()
}

/// A number among the parameters, whatever separates them: `w` of `"default";q=100;w=60`.
fn parameter(value: &str, name: &str) -> Option<u64> {
    value.split([';', ',']).find_map(|part| {
        let (key, number) = part.split_once('=')?;
        key.trim().eq_ignore_ascii_case(name).then(|| number.trim().parse().ok())?
    })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Some count seconds from now, some since 1970: nobody's window is fifty years long.
fn from_now(reset: u64, now: SystemTime) -> Duration {
    const FIFTY_YEARS: u64 = 50 * 365 * 86_400;
    if reset < FIFTY_YEARS {
        return seconds(reset);
    }
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    seconds(reset.saturating_sub(now))
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.remaining, self.limit) {
            (Some(remaining), Some(limit)) => write!(f, "{remaining} of {limit} requests left")?,
            (Some(remaining), None) => write!(f, "{remaining} requests left")?,
            (None, Some(limit)) => write!(f, "{limit} requests allowed")?,
            (None, None) => f.write_str("requests are counted")?,
        }
        if let Some(window) = self.window {
            write!(f, " in {} seconds", window.as_secs())?;
        }
        match self.reset {
            Some(reset) => write!(f, ", anew in {} seconds", reset.as_secs()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    type Said = (Option<u64>, Option<u64>, Option<u64>, Option<u64>);

    /// One line a dialect: limit, remaining, window, reset.
    #[test]
    fn every_dialect_is_read() {
        let now = UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let cases: &[(&[(&str, &str)], Said)] = &[
            (
                &[("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "76;w=21600")],
                (Some(100), Some(76), Some(21_600), None),
            ),
            (
                &[("ratelimit-limit", "100, 100;w=60"), ("ratelimit-remaining", "0"), ("ratelimit-reset", "30")],
                (Some(100), Some(0), Some(60), Some(30)),
            ),
            (
                &[("ratelimit", "\"default\";r=50;t=30"), ("ratelimit-policy", "\"default\";q=100;w=60")],
                (Some(100), Some(50), Some(60), Some(30)),
            ),
            (&[("ratelimit", "limit=100, remaining=50, reset=5")], (Some(100), Some(50), None, Some(5))),
            (
                &[
                    ("x-ratelimit-limit", "5000"),
                    ("x-ratelimit-remaining", "4999"),
                    ("x-ratelimit-reset", "1790000060"),
                ],
                (Some(5_000), Some(4_999), None, Some(60)),
            ),
            (&[("x-ratelimit-reset", "17")], (None, None, None, Some(17))),
            (&[("ratelimit-limit", "many"), ("ratelimit-remaining", "-1")], (None, None, None, None)),
            (&[("x-other", "1")], (None, None, None, None)),
        ];
        for (headers, (limit, remaining, window, reset)) in cases {
            let map: HeaderMap = headers
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let (window, reset) = (window.map(seconds), reset.map(seconds));
            let said = RateLimit { limit: *limit, remaining: *remaining, window, reset };
            assert_eq!(RateLimit::of(&map, now).unwrap_or_default(), said, "{headers:?}");
            assert_eq!(RateLimit::of(&map, now).is_none(), said == RateLimit::default(), "{headers:?}");
        }
    }

    #[test]
    fn what_is_left_is_said_in_words() {
        let hub = RateLimit { limit: Some(100), remaining: Some(0), window: Some(seconds(21_600)), reset: None };
        assert_eq!(hub.to_string(), "0 of 100 requests left in 21600 seconds");
        let github = RateLimit { remaining: Some(3), reset: Some(seconds(60)), ..RateLimit::default() };
        assert_eq!(github.to_string(), "3 requests left, anew in 60 seconds");
    }
}
