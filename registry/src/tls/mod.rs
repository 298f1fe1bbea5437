//! Connections to registry servers, over TLS where an address asks for it; the same parameters for all.
//!
//! rustls does the protocol, with ring for the cryptography. Names and dates of certificates are always
//! checked; who wants neither leaves TLS out. Certificates and keys are read for each connection, so those
//! that were replaced on disk are in force from the next one on.
//!
//! ```text
//! settings.rs  what an address says
//! files.rs     certificates and keys on disk
//! connect.rs   TCP, then TLS
//! stream.rs    the bytes of a connection
//! failure.rs   how a connection fails
//! words.rs     what went wrong, and what helps
//! ```

mod connect;
mod failure;
mod files;
mod settings;
mod stream;
#[cfg(test)]
pub(crate) mod tests;
mod words;

#[cfg(feature = "_grpc")]
pub(crate) use self::connect::HTTP_2;
pub(crate) use self::connect::connect;
pub(crate) use self::failure::refusal;
#[cfg(feature = "nacos")]
pub(crate) use self::failure::refusal_within;
#[cfg(feature = "zookeeper")]
pub(crate) use self::failure::{ConnectFailure, TlsFailure};
pub(crate) use self::settings::TlsSettings;
#[cfg(feature = "_grpc")]
pub(crate) use self::stream::ServerStream;
