//! Refuses what a web page can send without a preflight: such a request runs no handler.
//!
//! A page may send a `POST` to any address, a service on loopback included, without asking that
//! service first (CORS' preflight), as long as the body has no content type or one that forms have.
//! For everything else the browser asks first, and this server never says yes. Every translator of
//! HTTP calls [`refuse_unasked`] before it reads a body.
//!
//! Source: <https://fetch.spec.whatwg.org/#cors-safelisted-request-header>.

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, ORIGIN, REFERER};
use rpc_core::status::Status;

/// Refuses a request that a page may have sent without asking.
///
/// # Errors
/// A sign of a browser beside no content type, or one that needs no question.
pub(crate) fn refuse_unasked(headers: &HeaderMap) -> Result<(), Status> {
    if !needs_no_question(headers) || !headers.keys().any(is_of_a_browser) {
        return Ok(());
    }
    Err(Status::invalid_argument(
        "a web page may send such a body without asking, so it is not taken from a browser; \
         send `content-type: application/json`",
    ))
}

/// Whether a browser takes the content type, or that there is none, for a form's.
fn needs_no_question(headers: &HeaderMap) -> bool {
    const UNASKED: [&str; 4] =
        ["", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"];
    let is_unasked = |essence: &str| UNASKED.iter().any(|one| essence.eq_ignore_ascii_case(one));
    let mut values = headers.get_all(CONTENT_TYPE).iter().peekable();
    // A value that is not a text is not a type for which a browser asks first.
    values.peek().is_none()
        || values.any(|value| value.to_str().map_or(true, |text| is_unasked(essence(text))))
}

/// The type without its parameters.
pub(crate) fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether only browsers add this header. Pages cannot keep them from it: names with `sec-` are the
/// browser's own, and every `POST` to another origin has an `Origin`; `Referer` is for old ones.
fn is_of_a_browser(name: &HeaderName) -> bool {
    *name == ORIGIN || *name == REFERER || name.as_str().starts_with("sec-")
}
