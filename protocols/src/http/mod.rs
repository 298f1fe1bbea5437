//! HTTP/1.1 and HTTP/2: one stack, and a translator for each protocol on top of it.
//!
//! ```text
//! entry.rs       recognizes HTTP by its first bytes
//! connection.rs  drives hyper; frames.rs and room.rs bound what a peer may take
//!   guard.rs       is the request for this host (host.rs), and may it call (browser.rs)?
//!   pages.rs       GET: /, /healthz, /readyz, /metrics
//!   translators/   POST: a request becomes a call, its outcome a response
//!     headers.rs     metadata as headers, both ways
//!     refusal.rs, status.rs  failures as responses
//! ```
//!
//! Requests that must not reach a handler, such as those of a web page, are refused before a
//! translator sees them. A translator is given requests with a body of ours and returns whole
//! responses: it knows nothing of the stack underneath.

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
