//! How a connection fails.

use std::fmt;
use std::io;

#[cfg(feature = "_grpc")]
use rpc_core::Error;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum ConnectFailure {
    /// Nothing takes connections there, or no way leads there.
    Tcp(io::Error),
    /// There is no agreement about TLS.
    Tls(TlsFailure),
}

/// Why there is no agreement about TLS, with the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TlsFailure {
    /// Our files, or our certificate: nothing comes of it before somebody mends that.
    Ours(String),
    /// The server, or what is in its place.
    Theirs(String),
}

/// The server refuses our certificate, or wants one.
#[derive(Debug)]
pub(super) struct TlsRefusal(pub(super) String);

impl fmt::Display for TlsRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsRefusal {}

impl ConnectFailure {
    /// The same, with a further remedy where TLS fails for the server's sake.
    #[cfg(feature = "nacos")]
    pub(crate) fn or(self, remedy: &str) -> Self {
        match self {
            Self::Tls(TlsFailure::Theirs(why)) => {
                Self::Tls(TlsFailure::Theirs(format!("{why}; {remedy}")))
            }
            other => other,
        }
    }

    /// The error of `registry`; `unreachable` tells what it means that no connection comes up.
    #[cfg(feature = "_grpc")]
    pub(crate) fn error(
        self,
        registry: &str,
        unreachable: impl FnOnce(&io::Error) -> String,
    ) -> Error {
        let told = |why: &str| format!("registry {registry}: {why}");
        match self {
            Self::Tcp(error) => Error::unreachable(told(&unreachable(&error))).with_source(error),
            Self::Tls(TlsFailure::Ours(why)) => Error::refused(told(&why)),
            Self::Tls(TlsFailure::Theirs(why)) => Error::unreachable(told(&why)),
        }
    }
}

/// Why the server lets us not in, if that is what an error of a connection says.
pub(crate) fn refusal(error: &io::Error) -> Option<String> {
    error.get_ref()?.downcast_ref::<TlsRefusal>().map(TlsRefusal::to_string)
}

/// The same of an error that has one of a connection among its causes.
#[cfg(feature = "nacos")]
pub(crate) fn refusal_within(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    causes.find_map(|cause| cause.downcast_ref().and_then(refusal))
}
