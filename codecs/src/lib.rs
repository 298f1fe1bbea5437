//! Codecs.
mod stand_in;
pub use stand_in::builtin;
