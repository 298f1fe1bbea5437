//! A connection that the provider does not take: its first request is answered 503, saying why.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rpc_core::status::Status;
use rpc_core::transport::BoxTransport;
use tokio::sync::Notify;

use super::refusal::{self, Refusal};

/// How much such a peer may hold of this process, in each of the buffers it has.
const LITTLE: usize = 16 * 1024;

/// Sends the peer the reason `why` it is not served. The caller limits the time.
pub(super) async fn turn_away(io: BoxTransport, http2: bool, why: &Status) -> io::Result<()> {
    let (io, told) = (TokioIo::new(io), Arc::new(Notify::new()));
    let (asked, why) = (told.clone(), why.clone());
    let service = service_fn(move |request: Request<Incoming>| {
        asked.notify_one();
        let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why.clone());
        async move {
            // A stream that is reset before its answer was read loses it.
            let mut rest = pin!(Limited::new(request.into_body(), LITTLE));
            while let Some(Ok(_)) = rest.frame().await {}
            Ok::<_, Infallible>(refusal::refusal(&refusal).map(Full::new))
        }
    });
    if !http2 {
        let connection = hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(LITTLE)
            .serve_connection(io, service);
        return connection.await.map_err(io::Error::other);
    }
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_concurrent_streams(8)
        .initial_stream_window_size(LITTLE as u32)
        .initial_connection_window_size(4 * LITTLE as u32)
        .max_header_list_size(LITTLE as u32)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = told.notified() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    result.map_err(io::Error::other)
}
