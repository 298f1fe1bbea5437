//! gRPC as a client of registry servers speaks it: one connection, unary calls and streams.
//!
//! Small on purpose. A session is exactly one connection, which is never opened again behind its
//! back; what it received is bounded; an error says what was heard instead of gRPC. Messages are
//! written as structs with prost's derive, so no build needs a compiler of `.proto` files.
//!
//! ```text
//! connection.rs  the HTTP/2 connection, calls, metadata
//! frames.rs      messages in bodies, in both directions
//! failure.rs     how a call fails
//! heard.rs       the first that came from a peer, which tells what it is if it does not speak HTTP/2
//! ```

#![cfg_attr(
    not(feature = "etcd"),
    allow(dead_code, unused_imports, reason = "only etcd needs all of it")
)]

mod connection;
mod failure;
mod frames;
mod heard;

pub(crate) use self::connection::{GrpcConnection, GrpcLimits};
pub(crate) use self::failure::{GrpcCode, GrpcFailure};
pub(crate) use self::frames::{GrpcAnswers, GrpcRequests};
