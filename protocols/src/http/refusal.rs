//! Failures as HTTP responses: JSON with the status of their code, whichever translator they are for.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use rpc_core::Metadata;
use rpc_core::status::Status;
use serde_json::{Value, json};

use super::headers;
use super::status::http_status;

/// As `Retry-After`, which counts in seconds.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// The call that failed in truth, where the handler has passed that on.
const FAILED_CALL: HeaderName = HeaderName::from_static("failed-call");

/// A request that is turned away: the HTTP status and why.
pub(super) struct Refusal {
    http: StatusCode,
    status: Status,
}

impl Refusal {
    pub(super) fn new(http: StatusCode, status: Status) -> Self {
        Self { http, status }
    }
}

impl Refusal {
    /// Why.
    pub(super) fn status(&self) -> &Status {
        &self.status
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        Self { http: http_status(status.code()), status }
    }
}

/// The response to a request that is turned away.
pub(super) fn refusal(refusal: &Refusal) -> Response<Bytes> {
    failure(refusal.http, &refusal.status, None)
}

/// The response to a call that failed, with the typed business error as `details`.
pub(super) fn failure(
    http: StatusCode,
    status: &Status,
    details: Option<Value>,
) -> Response<Bytes> {
    let (mut response, missing) =
        response(http, "application/json", status.metadata(), Bytes::new());
    let mut message = status.message().to_owned();
    // The failure stays what it is, and says what it could not bring.
    if let Some(why) = missing {
        message += &format!(" ({why})");
    }
    let mut error = json!({ "code": status.code().name(), "message": message });
    if let Some(details) = details {
        error["details"] = details;
    }
    *response.body_mut() = format!("{error}\n").into();
    if let Some(origin) = status.origin().and_then(|origin| HeaderValue::from_str(origin).ok()) {
        response.headers_mut().insert(FAILED_CALL, origin);
    }
    if let Some(wait) = status.retry_after() {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        response.headers_mut().insert(RETRY_AFTER_MS, millis.into());
        response.headers_mut().insert(RETRY_AFTER, millis.div_ceil(1000).into());
    }
    if http == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

/// A response, and why the first of its metadata is missing that cannot be a header.
pub(super) fn response(
    http: StatusCode,
    content_type: &str,
    metadata: &Metadata,
    bytes: Bytes,
) -> (Response<Bytes>, Option<String>) {
    let mut response = Response::new(bytes);
    *response.status_mut() = http;
    let missing = headers::add(metadata, response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(content_type) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    (response, missing)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_failure_says_in_headers_when_to_come_back_and_which_call_failed_in_truth() {
        let full = Status::resource_exhausted("full").with_retry_after(Duration::from_millis(250));
        let response = refusal(&full.into());
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!((header("retry-after"), header("retry-after-ms")), (Some("1"), Some("250")));
        let nested = Status::unavailable("x").with_origin("shop.Inventory/reserve".into());
        let nested = refusal(&nested.into());
        assert_eq!(nested.headers()["failed-call"], "shop.Inventory/reserve");
        let silent = refusal(&Status::resource_exhausted("full").into());
        assert!(!silent.headers().contains_key("retry-after"));
    }
}
