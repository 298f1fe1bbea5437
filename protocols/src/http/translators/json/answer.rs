//! From an outcome to a response.

use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use rpc_core::Reply;
use rpc_core::codec::Codec;
use rpc_core::status::Status;
use serde_json::{Value, json};

use crate::http::refusal::{failure, response};
use crate::http::status::http_status;

/// The response to a call that was answered.
pub(super) fn answer(
    result: Result<Reply, Status>,
    codec: &dyn Codec,
    limit: usize,
) -> Response<Bytes> {
    let written = result.and_then(|reply| {
        let mut buf = BytesMut::with_capacity(reply.body.size_hint() + 16);
        reply.body.encode(codec, &mut buf).map_err(|e| e.into_reply_status("the call"))?;
        match buf.len() {
            len if len > limit => Err(Status::resource_exhausted(format!(
                "the reply has {len} bytes, more than the limit of {limit}; raise \
                 `provider.limits.payload` or return less"
            ))),
            _ => Ok((reply.metadata, buf.freeze())),
        }
    });
    let written = written.and_then(|(metadata, bytes)| {
        let content_type = format!("application/{}", codec.content_subtype());
        let (response, missing) = response(StatusCode::OK, &content_type, &metadata, bytes);
        missing.map_or(Ok(response), |why| Err(Status::internal(why)))
    });
    written.unwrap_or_else(|status| {
        let details = details(&status, codec);
        failure(http_status(status.code()), &status, details)
    })
}

/// The typed business error, where the codec of the call is text that fits into the error.
fn details(status: &Status, codec: &dyn Codec) -> Option<Value> {
    let details = status.details()?;
    let mut buf = BytesMut::new();
    details.body.encode(codec, &mut buf).ok()?;
    let value: Value = serde_json::from_slice(&buf).ok()?;
    Some(json!([{ "type": &*details.type_name, "value": value }]))
}
