//! A connection that the provider does not take: its peer gets the reason, and it is closed.
//!
//! Our consumers get it in an answer to no request (`docs/wire.md`); any peer whose first frame is
//! a request gets an answer to that, too.

use std::io;

use bytes::BytesMut;
use rpc_core::codec::Codecs;
use rpc_core::status::{Code, Status};
use rpc_core::transport::BoxTransport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::respond::{put_refusal, put_status};
use crate::dubbo::wire::header::{Header, NO_REQUEST, status};

/// Sends the peer the reason `why` it is not served. The caller limits the time.
pub(crate) async fn turn_away(
    mut io: BoxTransport,
    mut first: BytesMut,
    codecs: &Codecs,
    why: &Status,
) -> io::Result<()> {
    let asked = loop {
        match Header::parse(&first) {
            Ok(Some(header)) => break header,
            Ok(None) if io.read_buf(&mut first).await? > 0 => {}
            Ok(None) => return Ok(()),
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        }
    };
    let number = match why.code() {
        Code::ResourceExhausted => status::OVERLOADED,
        _ => status::BAD_REQUEST,
    };
    let mut out = BytesMut::new();
    // A codec of a program's own has an id of its own; its bodies are compact too.
    if asked.is_compact() || codecs.by_dubbo_id(asked.serialization()).is_some() {
        put_status(&mut out, NO_REQUEST, number, &**codecs.first(), why);
    }
    if asked.is_request() && asked.is_two_way() && !asked.is_event() {
        put_refusal(&mut out, asked, codecs, why, number);
    }
    io.write_all(&out).await?;
    io.shutdown().await?;
    // Closing with unread input would reset the connection and lose what was just said.
    let mut rest = [0; 4096];
    while io.read(&mut rest).await? > 0 {}
    Ok(())
}
