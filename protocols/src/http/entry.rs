//! The entry of HTTP in the table of protocols: what it is told by, and which translators it carries.

use std::sync::Arc;

use rpc_core::protocol::{Accepted, Protocol, ServeFuture, Sniff};
use rpc_core::{BuildContext, Error, Extension, NoConfig, Status};

use super::{serve, turn_away};
use crate::transport::Rewind;

/// HTTP/1.1 and HTTP/2; provider's end only.
#[derive(Debug)]
pub struct Http;

const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"PATCH ",
    b"TRACE ",
    b"DELETE ",
    b"OPTIONS ",
    b"CONNECT ",
];

impl Extension<dyn Protocol> for Http {
    const NAME: &'static str = "http";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Protocol>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Protocol for Http {
    fn names(&self) -> &[&'static str] {
        &["json"]
    }

    fn sniff(&self, first: &[u8]) -> Sniff {
        Sniff::prefixes(first, METHODS.into_iter().chain([HTTP2]))
    }

    fn serve(&self, accepted: Accepted) -> ServeFuture {
        let peer = accepted.peer("json");
        let Accepted { io, first, server, .. } = accepted;
        let is_http2 = first.starts_with(HTTP2);
        Box::pin(serve(Box::new(Rewind::new(first, io)), is_http2, peer, server))
    }

    fn turn_away(&self, accepted: Accepted, why: Status) -> ServeFuture {
        let Accepted { io, first, .. } = accepted;
        let is_http2 = first.starts_with(HTTP2);
        Box::pin(async move { turn_away(Box::new(Rewind::new(first, io)), is_http2, &why).await })
    }
}
