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
mod json;
mod pages;
mod refusal;
mod room;
mod status;
mod turn_away;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use rpc_core::Peer;

use self::body::RequestBody;
pub use self::entry::Http;
use self::room::Room;

/// Turns requests into calls and outcomes into responses.
trait Translator: fmt::Debug + Send + Sync {
    /// What `provider.protocols` lists and instances publish.
    fn name(&self) -> &'static str;

    /// Whether a request is of this protocol. The first that claims it has it.
    fn claims(&self, head: &Parts) -> bool;

    /// Answers a request of a peer that `room` belongs to.
    fn respond(
        &self,
        request: Request<RequestBody>,
        peer: Arc<Peer>,
        room: Arc<Room>,
    ) -> ResponseFuture;
}

/// The future of [`Translator::respond`]: a failure is a response too.
type ResponseFuture = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

/// Every translator; the last claims what nobody else does.
const TRANSLATORS: [&dyn Translator; 1] = [&json::Json];
