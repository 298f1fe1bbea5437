//! The entry of HTTP in the table of protocols: how it is recognized, and which translators it
//! carries.

use std::sync::Arc;

use rpc_core::protocol::{Accepted, Protocol, ServeFuture, Sniff};
use rpc_core::{BuildContext, Error, Extension, NoConfig, Status};

use super::connection::serve;
use super::translators::{TRANSLATORS, Translator};
use super::turn_away::turn_away;
use crate::transport::Rewind;

/// HTTP/1.1 and HTTP/2, for `curl`, scripts and browsers; provider's end only.
///
/// The protocol that it carries so far is `json`: `POST /service/method` with the arguments as the body.
/// `GET` answers pages about the provider: `/`, `/healthz`, `/readyz` and `/metrics`. Requests that a web
/// page could send without the user's knowledge are refused.
#[derive(Debug)]
pub struct Http {
    names: Vec<&'static str>,
}

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
        Ok(Arc::new(Self { names: TRANSLATORS.map(Translator::name).to_vec() }))
    }
}

impl Protocol for Http {
    fn names(&self) -> &[&'static str] {
        &self.names
    }

    fn sniff(&self, first: &[u8]) -> Sniff {
        Sniff::prefixes(first, METHODS.into_iter().chain([HTTP2]))
    }

    fn serve(&self, accepted: Accepted) -> ServeFuture {
        let is_http2 = accepted.first.starts_with(HTTP2);
        Box::pin(serve(accepted, is_http2))
    }

    fn turn_away(&self, accepted: Accepted, why: Status) -> ServeFuture {
        let Accepted { io, first, .. } = accepted;
        let is_http2 = first.starts_with(HTTP2);
        Box::pin(async move { turn_away(Box::new(Rewind::new(first, io)), is_http2, &why).await })
    }
}
