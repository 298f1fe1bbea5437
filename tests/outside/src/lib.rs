//! What users add of their own, in a crate that knows nothing of ours but `dubhe`.
//!
//! Each file is one kind of extension, written and chosen as a user would; what it lacked would be
//! a gap in the public interface.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "the whole crate is a test")]

mod balancer;
mod builder;
mod codec;
mod everyone;
mod filter;
mod format;
mod later;
mod layers;
mod named;
mod panics;
mod parcels;
mod policy;
mod protocol;
mod registry;
mod router;
mod shop;
mod stock_layers;
mod tracing;
mod transport;
