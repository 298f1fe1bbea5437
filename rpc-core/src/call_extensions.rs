//! What layers, policies and callers leave for each other beside a call; it does not travel.

/// Typed values beside a call or its reply, one of each type; free while empty.
pub use http::Extensions as CallExtensions;
