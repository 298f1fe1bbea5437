//! What every protocol promises of streams.

pub(crate) mod again;
pub(crate) mod ends;
pub(crate) mod flow;
pub(crate) mod times;
