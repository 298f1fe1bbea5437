//! Checks the host of a request: it names one host, and on loopback a host of this provider.
//!
//! A web page whose name was made to mean 127.0.0.1 (DNS rebinding) is of the same origin as the
//! service there, and may send anything; only the name gives it away.

use std::net::IpAddr;

use http::Version;
use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::uri::Authority;
use rpc_core::status::Status;

/// The host that a request names, without port and brackets; `None` where it need not name one.
///
/// # Errors
/// No `Host` in HTTP/1.1, several, one that is none, or another one than HTTP/2's `:authority`.
pub(crate) fn named(head: &Parts) -> Result<Option<&str>, Status> {
    let mut fields = head.headers.get_all(HOST).iter();
    let (field, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Err(Status::invalid_argument("the header `Host` occurs twice; send one"));
    }
    let field = field.map(text).transpose()?;
    let target = head.uri.authority().map(Authority::as_str);
    match (field, target) {
        (None, _) if head.version == Version::HTTP_11 => {
            Err(Status::invalid_argument("HTTP/1.1 needs the header `Host`; send it"))
        }
        (Some(field), Some(target))
            if head.version >= Version::HTTP_2 && !field.eq_ignore_ascii_case(target) =>
        {
            let text = "the header `Host` is not what `:authority` says; send one of them";
            Err(Status::invalid_argument(text))
        }
        // RFC 9112, 3.2.2: what the target says counts, whatever the header is.
        (field, target) => target.or(field).map(host_of).transpose(),
    }
}

fn text(value: &HeaderValue) -> Result<&str, Status> {
    let text = value.to_str().map_err(|_| no_host(&String::from_utf8_lossy(value.as_bytes())))?;
    host_of(text).map(|_| text)
}

/// The host of `host[:port]`.
fn host_of(text: &str) -> Result<&str, Status> {
    let authority: Authority = text.parse().map_err(|_| no_host(text))?;
    // With a user name in front, the text does not begin with the host.
    let split =
        text.strip_prefix(authority.host()).map(|rest| text.split_at(text.len() - rest.len()));
    let is_port = |rest: &str| {
        let port = rest.strip_prefix(':');
        rest.is_empty() || port.is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match split {
        Some((host, rest)) if !host.is_empty() && is_port(rest) => {
            Ok(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
        }
        _ => Err(no_host(text)),
    }
}

fn no_host(text: &str) -> Status {
    let shown: String = text.chars().take(64).collect();
    let shown = shown.escape_debug();
    Status::invalid_argument(format!(
        "`Host` is `{shown}`, which is not a host; send `host[:port]`"
    ))
}

/// Refuses a host that is neither loopback's nor one of `own`.
///
/// # Errors
/// The name, and the setting that it is missing in.
pub(crate) fn refuse_others(host: &str, own: &[String]) -> Result<(), Status> {
    let name = host.strip_suffix('.').unwrap_or(host);
    let known = match name.parse::<IpAddr>() {
        Ok(ip) => {
            let is_own = |own: &String| own.parse() == Ok(ip);
            ip.to_canonical().is_loopback() || own.iter().any(is_own)
        }
        Err(_) => is_localhost(name) || own.iter().any(|own| own.eq_ignore_ascii_case(name)),
    };
    if known {
        return Ok(());
    }
    Err(Status::permission_denied(format!(
        "this provider is not called `{}`; if it should be, add that to `provider.hosts`",
        host.escape_debug()
    )))
}

/// Whether a name means loopback everywhere: RFC 6761, 6.3.
fn is_localhost(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}
