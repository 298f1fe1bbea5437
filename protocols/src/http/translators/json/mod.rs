//! JSON over HTTP: `POST /service/method` for curl, scripts and browsers.
//!
//! The arguments are the body, as a list or an object; the codec is the one the content type names,
//! JSON without one. Errors are JSON with the HTTP status of their code (`docs/wire.md`).

mod answer;
mod request;

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use rpc_core::Peer;
use rpc_core::server::{Answer, CallGuard, ConnectionShare, shutting_down};
use rpc_core::status::Status;

use self::request::Called;
use super::{ResponseFuture, Translator};
use crate::http::body::RequestBody;
use crate::http::room::Room;

/// One request, one response, arguments as JSON or in the codec of the content type.
#[derive(Debug)]
pub(super) struct Json;

impl Translator for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn claims(&self, _: &Parts) -> bool {
        true
    }

    fn respond(
        &self,
        request: Request<RequestBody>,
        peer: Arc<Peer>,
        room: Arc<Room>,
    ) -> ResponseFuture {
        Box::pin(respond(request, peer, room))
    }
}

async fn respond(
    request: Request<RequestBody>,
    peer: Arc<Peer>,
    room: Arc<Room>,
) -> Response<Bytes> {
    let server = room.caller.state();
    let (head, mut body) = request.into_parts();
    let codec = match request::codec(&head, server.dispatcher().codecs()) {
        Ok(codec) => codec,
        Err(refusal) => return room.refuse(&refusal, (&head, &peer), body),
    };
    let called = match request::call(&head, &mut body, &codec, &peer, &room).await {
        Ok(called) => called,
        Err(refusal) => return room.refuse(&refusal, (&head, &peer), body),
    };
    let Called { route, invocation, started, held: _held } = called;
    let result = match begin(&room.caller) {
        Ok(_guard) => Answer::new(route, invocation, started).until_deadline().await,
        Err(refused) => {
            room.note(&refused, (&head, &peer));
            Err(refused)
        }
    };
    answer::answer(result, &*codec, server.config().payload)
}

/// Counts a call whose request is complete, unless there is no room or a drain came in between.
fn begin(caller: &Arc<ConnectionShare>) -> Result<CallGuard, Status> {
    let reading = caller.state().begin_reading();
    if reading.is_none() {
        return Err(shutting_down());
    }
    caller.begin_call()
}
