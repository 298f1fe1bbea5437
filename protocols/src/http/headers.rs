//! Headers to metadata and back.
//!
//! Every header that does not belong to HTTP itself becomes metadata, and every entry of metadata a
//! header. Nothing is dropped silently: what cannot be converted is an error that names it.

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use rpc_core::status::Status;
use rpc_core::{Metadata, MetadataValue};

/// Every header that is not HTTP's own business. Several of one name are one value, as RFC 9110,
/// 5.3 joins them, and the crumbs of a cookie as RFC 9113, 8.2.3 does. Those that end in `-bin` are
/// bytes in base64, as gRPC has them, a value for each.
///
/// # Errors
/// A value that is not UTF-8, or bytes that are not base64.
pub(super) fn metadata(headers: &HeaderMap) -> Result<Metadata, Status> {
    let mut metadata = Metadata::new();
    for name in headers.keys().filter(|name| !is_http(name)) {
        if name.as_str().ends_with(BINARY) {
            for value in headers.get_all(name) {
                // Several headers may have been joined into a list of values by a proxy.
                for part in text(name, value)?.split(',') {
                    metadata.append(name.as_str(), bytes(name, part.trim())?);
                }
            }
            continue;
        }
        let joint = if *name == COOKIE { "; " } else { ", " };
        let mut whole = String::new();
        for (index, value) in headers.get_all(name).iter().enumerate() {
            if index > 0 {
                whole.push_str(joint);
            }
            whole.push_str(text(name, value)?);
        }
        metadata.insert(name.as_str(), whole);
    }
    Ok(metadata)
}

/// The value of a header that has one, and at most once.
///
/// # Errors
/// The header occurs twice or is not UTF-8.
pub(super) fn single<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Result<Option<&'a str>, Status> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        let text = format!("the header `{name}` occurs twice; send it once");
        return Err(Status::invalid_argument(text));
    }
    text(name, value).map(Some)
}

fn text<'a>(name: &HeaderName, value: &'a HeaderValue) -> Result<&'a str, Status> {
    std::str::from_utf8(value.as_bytes()).map_err(|_| {
        let text = format!("the header `{name}` is not UTF-8; send text, or other bytes as base64");
        Status::invalid_argument(text)
    })
}

/// How keys of bytes end, as in gRPC.
const BINARY: &str = "-bin";

/// With or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn bytes(name: &HeaderName, base64: &str) -> Result<Vec<u8>, Status> {
    BASE64.decode(base64).map_err(|error| {
        let text = format!("the header `{name}` carries bytes and is not base64: {error}");
        Status::invalid_argument(text)
    })
}

fn is_http(name: &HeaderName) -> bool {
    const PREFIXES: [&str; 6] = ["accept", "content-", "sec-", "tri-service-", "if-", "proxy-"];
    const NAMES: [&str; 10] = [
        "host",
        "user-agent",
        "connection",
        "te",
        "transfer-encoding",
        "upgrade",
        "expect",
        "origin",
        "referer",
        "keep-alive",
    ];
    let name = name.as_str();
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Adds metadata to the headers of an answer; returns why the first that cannot be one is not
/// among them.
pub(super) fn add(metadata: &Metadata, headers: &mut HeaderMap) -> Option<String> {
    let mut missing = None;
    for (key, value) in metadata.iter() {
        match header(key, value) {
            Ok((name, value)) => drop(headers.append(name, value)),
            Err(why) => {
                missing.get_or_insert_with(|| {
                    let key = key.escape_debug();
                    format!("the metadata `{key}` of the answer cannot be an HTTP header: {why}")
                });
            }
        }
    }
    missing
}

fn header(key: &str, value: &MetadataValue) -> Result<(HeaderName, HeaderValue), &'static str> {
    /// Headers that frame an answer, which another value would break.
    const FRAMING: [&str; 9] = [
        "connection",
        "content-length",
        "content-type",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let name = HeaderName::try_from(key).map_err(|_| "its key is not a header name")?;
    if FRAMING.contains(&name.as_str()) {
        return Err("HTTP sets that one itself");
    }
    let value = match (value, key.ends_with(BINARY)) {
        (MetadataValue::Text(text), false) => HeaderValue::from_str(text),
        (MetadataValue::Binary(bytes), true) => HeaderValue::from_str(&BASE64.encode(bytes)),
        (MetadataValue::Text(_), true) => return Err("a key that ends in `-bin` has bytes"),
        (MetadataValue::Binary(_), false) => return Err("bytes need a key that ends in `-bin`"),
    };
    let value = value.map_err(|_| "its value has control characters")?;
    Ok((name, value))
}
