//! How a call fails: the server says so, or there is no sense in what comes.

use std::fmt;

use http::HeaderMap;

/// The codes of gRPC that a registry tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GrpcCode {
    InvalidArgument,
    NotFound,
    PermissionDenied,
    FailedPrecondition,
    OutOfRange,
    Unimplemented,
    Unauthenticated,
    /// Another one.
    Other(u32),
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GrpcFailure {
    /// The server answers with an error.
    Status { code: GrpcCode, message: String },
    /// The connection is lost, or what came over it is not gRPC.
    Broken(String),
    /// The server wants no connection with us, which lasts until somebody mends what it says.
    Unwanted(String),
}

impl GrpcCode {
    const fn of(number: u32) -> Self {
        match number {
            3 => Self::InvalidArgument,
            5 => Self::NotFound,
            7 => Self::PermissionDenied,
            9 => Self::FailedPrecondition,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            16 => Self::Unauthenticated,
            other => Self::Other(other),
        }
    }
}

impl GrpcFailure {
    pub(super) fn broken(what: impl fmt::Display) -> Self {
        Self::Broken(what.to_string())
    }

    /// The error that trailers tell, if they tell one; without a status there is one, too.
    pub(super) fn of(trailers: &HeaderMap) -> Option<Self> {
        let Some(status) = trailers.get("grpc-status") else {
            return Some(Self::broken("the answer ended without a status of gRPC"));
        };
        let Some(number) = status.to_str().ok().and_then(|text| text.parse().ok()) else {
            return Some(Self::broken("the status of gRPC is not a number"));
        };
        if number == 0 {
            return None;
        }
        let message = trailers.get("grpc-message").map_or(&b""[..], |value| value.as_bytes());
        Some(Self::Status { code: GrpcCode::of(number), message: readable(message) })
    }
}

impl fmt::Display for GrpcFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { code, message } if message.is_empty() => write!(f, "status {code:?}"),
            Self::Status { message: text, .. } | Self::Broken(text) | Self::Unwanted(text) => {
                f.write_str(text)
            }
        }
    }
}

/// A server's text: without the percent signs of gRPC, without control characters, and not long.
fn readable(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len().min(1024));
    let mut rest = text[..text.len().min(1024)].iter();
    while let Some(&byte) = rest.next() {
        let after = rest.as_slice();
        let digit = |at: usize| after.get(at).and_then(|b| char::from(*b).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits are a byte.
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                rest.nth(1);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trailers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(key, value)| (key.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_status_has_its_code_and_its_text() {
        let failed = trailers(&[("grpc-status", "16"), ("grpc-message", "caf%C3%A9%0a 100%")]);
        let (code, message) = (GrpcCode::Unauthenticated, "caf\u{e9}  100%".to_owned());
        assert_eq!(GrpcFailure::of(&failed), Some(GrpcFailure::Status { code, message }));
        assert_eq!(GrpcFailure::of(&trailers(&[("grpc-status", "0")])), None);
        for wrong in [&[][..], &[("grpc-status", "x")]] {
            assert!(matches!(GrpcFailure::of(&trailers(wrong)), Some(GrpcFailure::Broken(_))));
        }
    }
}
