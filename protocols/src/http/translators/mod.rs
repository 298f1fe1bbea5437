//! The protocols that speak HTTP: each turns requests into calls and outcomes into responses.

mod json;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use rpc_core::Peer;

use super::body::RequestBody;
use super::room::Room;

/// Turns requests into calls and outcomes into responses.
pub(super) trait Translator: fmt::Debug + Send + Sync {
    /// The name in `provider.protocols` and in what instances publish.
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
pub(super) type ResponseFuture = Pin<Box<dyn Future<Output = Response<Bytes>> + Send>>;

/// Every translator; the last claims every request that no other claims.
pub(super) const TRANSLATORS: [&dyn Translator; 1] = [&json::Json];
