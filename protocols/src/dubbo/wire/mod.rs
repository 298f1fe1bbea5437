//! Bytes of Dubbo2: headers, frames, events, and what stands around arguments and replies.

pub(crate) mod compact;
pub(crate) mod event;
pub(crate) mod frames;
pub(crate) mod header;
