//! Answers that need no registry.

use std::time::{Duration, SystemTime};

use super::mode::{ErrorPage, Pause};
use super::wire::Head;

/// A refusal. A 401 says where tokens are to be had.
pub(super) fn refusal(status: u16, page: ErrorPage, realm: &str) -> (Head, Vec<u8>) {
    let mut head = Head::answer(status);
    if status == 401 {
        head.set("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"test\""));
    }
    let (kind, body) = match page {
        ErrorPage::Json => {
            ("application/json", br#"{"errors":[{"code":"MADE_UP","message":"on purpose","detail":null}]}"#.to_vec())
        }
        ErrorPage::Html => ("text/html", b"<!doctype html><title>no</title><h1>on purpose</h1>".to_vec()),
        ErrorPage::Empty => return (head, Vec::new()),
        ErrorPage::Large => ("text/plain", b"on purpose, ".iter().copied().cycle().take(1 << 20).collect()),
    };
    (head.with("content-type", kind), body)
}

/// A refusal that says when to come back.
pub(super) fn throttle(status: u16, pause: Pause) -> (Head, Vec<u8>) {
    let when = match pause {
        Pause::Seconds(seconds) => seconds.to_string(),
        Pause::Date(seconds) => httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds)),
        Pause::Year9999 => "Fri, 31 Dec 9999 23:59:59 GMT".to_owned(),
        Pause::Junk => "soon, I promise".to_owned(),
    };
    (Head::answer(status).with("retry-after", when), Vec::new())
}
