//! Opens a session over a connection, or goes on with an older one.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::jute::{JuteReader, JuteWriter, NotJute};
use super::message::{self, AnswerHead, xid};
use super::ticket::SessionTicket;
use crate::tls;

/// Lengths that the answer to a hello can have; older servers leave out a byte, and none says more.
const WELCOME: std::ops::RangeInclusive<usize> = 20..=256;

/// Why a session was not opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OpenFailure {
    /// The server hung up without an answer: it is starting, cut off from the others, behind the
    /// transactions that the session has seen, or something else.
    Silent,
    /// What answers is not ZooKeeper.
    Foreign,
    /// What answers speaks TLS.
    Tls,
    /// The server takes no connection of ours, which it says in TLS.
    Unwanted(String),
    /// The older session is over.
    Expired,
    /// The credentials are refused.
    Refused,
    /// The connection broke.
    Broken(String),
}

impl From<io::Error> for OpenFailure {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        if let Some(why) = tls::refusal(&error) {
            return Self::Unwanted(why);
        }
        match error.kind() {
            UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe => Self::Silent,
            _ => Self::Broken(error.to_string()),
        }
    }
}

impl From<NotJute> for OpenFailure {
    fn from(_: NotJute) -> Self {
        Self::Foreign
    }
}

/// What a session is to be.
#[derive(Clone)]
pub(super) struct SessionWish {
    /// After how long without a connection the servers shall end it; they bound it.
    pub(super) timeout: Duration,
    /// `user:password`.
    pub(super) credentials: Option<Arc<str>>,
}

impl fmt::Debug for SessionWish {
    /// Without credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionWish({:?})", self.timeout)
    }
}

/// Says hello over `stream`, with the session of `ticket` if there is one, and presents the
/// credentials.
pub(super) async fn open_session<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    wish: &SessionWish,
    ticket: Option<&Arc<SessionTicket>>,
) -> Result<Arc<SessionTicket>, OpenFailure> {
    send(stream, hello(wish, ticket)).await?;
    let mut welcome = JuteReader::new(receive(stream).await?);
    let (_version, timeout) = (welcome.int()?, welcome.int()?);
    let (id, password) = (welcome.long()?, welcome.buffer()?);
    if id == 0 {
        return Err(OpenFailure::Expired);
    }
    let timeout = Duration::from_millis(timeout.try_into().map_err(|_| NotJute)?);
    if timeout.is_zero() {
        return Err(OpenFailure::Foreign);
    }
    let opened = Arc::new(SessionTicket::new(id, password, timeout));
    opened.see(ticket.map_or(0, |ticket| ticket.seen()));
    if let Some(credentials) = &wish.credentials {
        send(stream, message::digest(credentials)).await?;
        let head = AnswerHead::read(&mut JuteReader::new(receive(stream).await?))?;
        if head.xid != xid::AUTH {
            return Err(OpenFailure::Foreign);
        }
        if head.code.is_some() {
            return Err(OpenFailure::Refused);
        }
    }
    Ok(opened)
}

fn hello(wish: &SessionWish, ticket: Option<&Arc<SessionTicket>>) -> BytesMut {
    const VERSION: i32 = 0;
    const NO_PASSWORD: [u8; 16] = [0; 16];
    let timeout = i32::try_from(wish.timeout.as_millis()).unwrap_or(i32::MAX);
    let (seen, id, password) = match ticket {
        Some(ticket) => (ticket.seen(), ticket.id, &ticket.password[..]),
        None => (0, 0, &NO_PASSWORD[..]),
    };
    let hello = JuteWriter::new().int(VERSION).long(seen).int(timeout).long(id).buffer(password);
    let is_read_only = false;
    hello.bool(is_read_only).finish()
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, frame: BytesMut) -> Result<(), OpenFailure> {
    stream.write_all(&frame).await?;
    Ok(stream.flush().await?)
}

/// A whole frame; nothing follows it, because the server only answers.
async fn receive<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Bytes, OpenFailure> {
    let length = stream.read_u32().await?;
    // An alert, or another record of TLS.
    if let [0x15 | 0x16, 3, ..] = length.to_be_bytes() {
        return Err(OpenFailure::Tls);
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    // A web server says `HTTP`, which is a length of more than a GiB.
    if length < AnswerHead::LENGTH || length > *WELCOME.end() {
        return Err(OpenFailure::Foreign);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(body.into())
}
