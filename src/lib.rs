//! Dubhe.
