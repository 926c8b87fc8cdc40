//! A refusal that is no verdict: what we sent has expired, and the registry says so with a 403 and no challenge (ECR, whose
//! passwords live twelve hours).

use gantri_core::Limits;
use http::header::HeaderValue;
use http::{Method, StatusCode};

use super::Response;

/// Whether the answer says that. What was read of its body is put back.
pub(super) async fn is_told(
    answer: &mut Response,
    method: &Method,
    sent: Option<&HeaderValue>,
    limits: &Limits,
) -> bool {
    let (StatusCode::FORBIDDEN, Some(sent)) = (answer.head.status, sent) else { return false };
    if *method == Method::HEAD {
        // No reason is given here. A password may be asked for again at no cost to the registry; if it is the same one, no
        // more is sent.
        return sent.to_str().is_ok_and(|sent| sent.starts_with("Basic "));
    }
    let body = answer.set_aside(limits.error_body).await;
    String::from_utf8_lossy(&body).to_ascii_lowercase().contains("token has expired")
}
