//! Checks that every request has to pass, whichever translator it is for.

use http::request::Parts;
use http::{Method as Verb, StatusCode};
use rpc_core::server::{Phase, ServerState, shutting_down};
use rpc_core::status::{Delivery, Status};

use super::refusal::Refusal;
use super::{browser, host};

/// Refuses a request that is not for this provider by its name.
pub(super) fn check_host(head: &Parts, server: &ServerState) -> Result<(), Refusal> {
    let host = host::named(head).map_err(refused)?;
    if let (Some(host), Some(own)) = (host, &server.config().hosts) {
        let others = host::refuse_others(host, own);
        // 421 says that the name is wrong, to caches too; 403 would be about the caller.
        others.map_err(|why| Refusal::new(StatusCode::MISDIRECTED_REQUEST, refused(why)))?;
    }
    Ok(())
}

/// Refuses what is not to reach a handler, whatever it says.
pub(super) fn check_call(head: &Parts, server: &ServerState) -> Result<(), Refusal> {
    if server.phase() >= Phase::Refusing {
        return Err(shutting_down().into());
    }
    if head.method != Verb::POST {
        let text = format!("{} is not taken here; POST the arguments instead", head.method);
        let status = refused(Status::unimplemented(text));
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, status));
    }
    browser::refuse_unasked(&head.headers)
        .map_err(|why| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, refused(why)))
}

fn refused(status: Status) -> Status {
    status.with_delivery(Delivery::Refused)
}
