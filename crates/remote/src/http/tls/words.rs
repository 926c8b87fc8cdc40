//! What is wrong with a certificate, in words to act on: with names and dates, where rustls has a debug form and seconds.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use gantri_core::error::display_untrusted;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

/// A certificate that does not do: theirs, or ours.
#[derive(Debug)]
pub(in super::super) struct BadCertificate(String);

impl BadCertificate {
    /// What is to be said of it; `None` if rustls says all there is to be said.
    pub(in super::super) fn of(error: &Error) -> Option<Self> {
        let said = match error {
            Error::InvalidCertificate(fault) => theirs(fault)?,
            Error::AlertReceived(AlertDescription::CertificateRequired) => {
                "it wants to be shown a certificate, and was shown none".to_owned()
            }
            Error::AlertReceived(
                alert @ (AlertDescription::BadCertificate
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::CertificateRevoked
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateUnknown
                | AlertDescription::UnknownCA
                | AlertDescription::AccessDenied),
            ) => format!("it does not take the certificate that it was shown ({alert:?})"),
            _ => return None,
        };
        Some(Self(said))
    }
}

fn theirs(fault: &CertificateError) -> Option<String> {
    Some(match fault {
        CertificateError::ExpiredContext { time, not_after } => {
            format!("its certificate expired on {}; it is {} here", date(*not_after), date(*time))
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!("its certificate is valid from {} on; it is {} here", date(*not_before), date(*time))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().take(SHOWN).map(|name| plain(name)).collect();
            let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
            let more = if presented.len() > SHOWN { ", .." } else { "" };
            format!("its certificate is for {}{more}, not for {}", display_untrusted(&names), expected.to_str())
        }
        CertificateError::UnknownIssuer => "its certificate is signed by nobody who is trusted".to_owned(),
        // An authority that has signed itself, used as a server's certificate as well.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is an authority's, and no server's".to_owned()
        }
        _ => return None,
    })
}

const SHOWN: usize = 4;

/// `DnsName("a.test")`, as rustls has it, without the frame.
fn plain(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

fn date(time: UnixTime) -> String {
    // The end of the year 9999, past which neither certificates nor this form know a date.
    const LAST: u64 = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(time.as_secs().min(LAST)))
}

impl fmt::Display for BadCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadCertificate {}
