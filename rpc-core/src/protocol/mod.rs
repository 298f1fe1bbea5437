//! The wire: one folder per face, told apart on one port by `sniff.rs`.

pub mod dubbo;
pub(crate) mod json;
pub(crate) mod sniff;
