//! One HTTP/2 connection with a gRPC server, for as long as it lasts.

use std::fmt;
use std::sync::Mutex;

use http::uri::{Authority, PathAndQuery, Scheme, Uri};
use http::{HeaderValue, Request, StatusCode};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use prost::Message;

use super::failure::GrpcFailure;
use super::frames::{GrpcAnswers, GrpcBody, GrpcRequests, frame};
use super::heard::{Heard, HeardStream};
use crate::lock::locked;
use crate::tls::ServerStream;

/// The most bytes of headers that an answer may have.
const MAX_HEADERS: u32 = 64 * 1024;

/// What a connection takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GrpcLimits {
    /// The longest message of an answer.
    pub(crate) message: usize,
}

/// A connection. Calls run concurrently on it; all fail once it is lost.
pub(crate) struct GrpcConnection {
    send: SendRequest<GrpcBody>,
    scheme: Scheme,
    authority: Authority,
    limits: GrpcLimits,
    /// Sent with each call as `token`.
    token: Mutex<Option<HeaderValue>>,
    heard: Heard,
}

impl GrpcConnection {
    /// Begins to speak gRPC over `stream` with the server at `authority`; nothing is waited for.
    ///
    /// The second value drives the connection: it ends with it, and says why. Dropping it closes the
    /// connection.
    pub(crate) async fn open(
        stream: ServerStream,
        authority: &str,
        limits: GrpcLimits,
    ) -> Result<(Self, impl Future<Output = String> + Send + use<>), GrpcFailure> {
        let authority = Authority::try_from(authority).map_err(GrpcFailure::broken)?;
        let scheme = if stream.is_tls() { Scheme::HTTPS } else { Scheme::HTTP };
        let (stream, heard) = HeardStream::to(stream);
        let mut builder = Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).max_header_list_size(MAX_HEADERS);
        let handshake = builder.handshake(TokioIo::new(stream)).await;
        let (send, driver) = handshake.map_err(GrpcFailure::broken)?;
        let said = heard.clone();
        let driver = async move {
            match driver.await {
                Ok(()) => "the connection was closed".to_owned(),
                Err(error) => broken(&said, &error).to_string(),
            }
        };
        Ok((Self { send, scheme, authority, limits, token: Mutex::new(None), heard }, driver))
    }

    /// Sends `token` with each later call.
    pub(crate) fn set_token(&self, token: HeaderValue) {
        *locked(&self.token) = Some(token);
    }

    /// The token that is sent with calls.
    pub(crate) fn token(&self) -> Option<HeaderValue> {
        locked(&self.token).clone()
    }

    /// Calls a method that has one answer. `path` is `/package.Service/Method`.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    pub(crate) async fn unary<A>(
        &self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<A, GrpcFailure>
    where
        A: Message + Default,
    {
        only_answer(self.call(path, self.token(), GrpcBody::one(frame(request)))).await
    }

    /// As [`unary`](Self::unary), for the call that asks for a token: an old one would be checked first.
    pub(crate) async fn unary_without_token<A>(
        &self,
        path: &'static str,
        request: &impl Message,
    ) -> Result<A, GrpcFailure>
    where
        A: Message + Default,
    {
        only_answer(self.call(path, None, GrpcBody::one(frame(request)))).await
    }

    /// Opens a stream in both directions. The answers are waited for, because servers may send none
    /// before they have read a request: send that one first.
    pub(crate) fn stream<Q, A>(
        &self,
        path: &'static str,
    ) -> (GrpcRequests<Q>, impl Future<Output = Result<GrpcAnswers<A>, GrpcFailure>> + use<Q, A>)
    where
        Q: Message,
        A: Message + Default + 'static,
    {
        let (requests, body) = GrpcBody::stream();
        (requests, self.call(path, self.token(), body))
    }

    /// Sends a request, and waits for the head of the answer.
    fn call<A>(
        &self,
        path: &'static str,
        token: Option<HeaderValue>,
        body: GrpcBody,
    ) -> impl Future<Output = Result<GrpcAnswers<A>, GrpcFailure>> + use<A>
    where
        A: Message + Default,
    {
        let request = self.request(path, token, body).map_err(GrpcFailure::broken);
        let (mut send, heard, limit) = (self.send.clone(), self.heard.clone(), self.limits.message);
        async move {
            let lost = |error: hyper::Error| broken(&heard, &error);
            let (head, body) = send.send_request(request?).await.map_err(lost)?.into_parts();
            let content = head.headers.get("content-type").map_or(&b""[..], HeaderValue::as_bytes);
            if head.status != StatusCode::OK || !content.starts_with(b"application/grpc") {
                let status = head.status;
                let what =
                    format!("it speaks HTTP, but not gRPC (status {status}); check the port");
                return Err(GrpcFailure::Broken(what));
            }
            // An answer that is only an error has its status here.
            let failure =
                head.headers.contains_key("grpc-status").then(|| GrpcFailure::of(&head.headers));
            failure.flatten().map_or(Ok(GrpcAnswers::new(body, limit)), Err)
        }
    }

    fn request(
        &self,
        path: &'static str,
        token: Option<HeaderValue>,
        body: GrpcBody,
    ) -> http::Result<Request<GrpcBody>> {
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone());
        let uri = uri.path_and_query(PathAndQuery::from_static(path)).build()?;
        let mut request = Request::post(uri)
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .header("user-agent", concat!("dubhe/", env!("CARGO_PKG_VERSION")));
        if let Some(token) = token {
            request = request.header("token", token);
        }
        request.body(body)
    }
}

/// The answer of a call that has one.
async fn only_answer<A>(
    call: impl Future<Output = Result<GrpcAnswers<A>, GrpcFailure>>,
) -> Result<A, GrpcFailure>
where
    A: Message + Default,
{
    let mut answers = call.await?;
    let answer = answers.next().await?;
    let answer = answer.ok_or_else(|| GrpcFailure::broken("an answer without a message"))?;
    match answers.next().await? {
        None => Ok(answer),
        Some(_) => Err(GrpcFailure::broken("an answer of more than one message")),
    }
}

/// What an error of HTTP/2 means: what was heard says most, then its causes, and hyper's own text least.
fn broken(heard: &Heard, error: &hyper::Error) -> GrpcFailure {
    heard.instead().unwrap_or_else(|| {
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        GrpcFailure::Broken(format!("the connection broke: {cause}"))
    })
}

impl fmt::Debug for GrpcConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the token.
        f.debug_struct("GrpcConnection").field("authority", &self.authority).finish_non_exhaustive()
    }
}
