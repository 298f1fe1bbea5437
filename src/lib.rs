//! Dubhe.

pub mod config;
