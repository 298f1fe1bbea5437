//! HTTP/1.1 and HTTP/2: one stack, and a translator for each protocol on top of it.
//!
//! `connection.rs` drives connections and keeps their limits; what must not reach any handler, such as a
//! request of a web page, is refused before a translator sees it. A translator is given requests with a
//! body of ours and returns whole responses: it knows nothing of the stack underneath.

mod body;
mod browser;
mod connection;
mod entry;
mod frames;
mod guard;
mod headers;
mod host;
mod pages;
mod refusal;
mod room;
mod status;
mod translators;
mod turn_away;

pub use self::entry::Http;
