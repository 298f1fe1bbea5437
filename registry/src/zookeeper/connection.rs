//! An open connection: one task that writes requests, hands out answers in the order of the requests,
//! passes changes to the watches, and keeps the session alive.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::jute::{JuteReader, NotJute};
use super::message::{self, AnswerHead, ServerCode, ZooKeeperOp, xid};
use super::ticket::SessionTicket;
use super::watches::WatchTable;

/// Requests that may wait for their answers; more wait in the queue.
const IN_FLIGHT: usize = 1024;

/// Bytes that may wait to be written before no more requests are taken.
const UNWRITTEN: usize = 256 * 1024;

/// The longest answer that is taken into memory: the names of about 50,000 providers of one service.
pub(super) const MAX_ANSWER: usize = 32 << 20;

/// Bytes of an answer that is longer than most.
const LONG_ANSWER: usize = 64 * 1024;

/// A silent server is asked for a sign of life this often at least,
const PING_EVERY: Duration = Duration::from_secs(5);

/// and its connection is given up after this time at most.
const SILENCE: Duration = Duration::from_secs(10);

/// How long a session may take to be closed.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a request has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFailure {
    Code(ServerCode),
    /// The answer has this many bytes.
    TooLong(usize),
    /// The connection has ended.
    Lost,
}

pub(super) type RequestOutcome = Result<Bytes, RequestFailure>;

/// A request on its way to the connection.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) frame: BytesMut,
    /// Where the answer goes; gone if nobody waits for it any more.
    pub(super) answer: oneshot::Sender<RequestOutcome>,
}

/// What a connection shares with those who use it.
#[derive(Debug)]
pub(super) struct ConnectionState {
    pub(super) ticket: Arc<SessionTicket>,
    pub(super) watches: WatchTable,
    /// Why the connection ended, once it has.
    pub(super) end: watch::Sender<Option<String>>,
}

/// The task's own part.
struct Connection<S> {
    read: ReadHalf<S>,
    write: WriteHalf<S>,
    state: Arc<ConnectionState>,
    incoming: BytesMut,
    outgoing: BytesMut,
    /// Whether all that was written has left; TLS may hold some back.
    is_flushed: bool,
    waiting: VecDeque<(i32, oneshot::Sender<RequestOutcome>)>,
    last_xid: i32,
    /// Bytes of an answer that is too long and is not kept.
    skipping: usize,
    heard: Instant,
    said: Instant,
}

/// Drives a connection until it breaks, or nobody sends orders any more; then it closes the session,
/// so that what it owns is gone at once.
pub(super) async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    state: Arc<ConnectionState>,
    mut orders: mpsc::Receiver<Order>,
) {
    let (read, write) = tokio::io::split(stream);
    let mut connection = Connection {
        read,
        write,
        state: Arc::clone(&state),
        incoming: BytesMut::new(),
        outgoing: BytesMut::new(),
        is_flushed: true,
        waiting: VecDeque::new(),
        last_xid: 0,
        skipping: 0,
        heard: Instant::now(),
        said: Instant::now(),
    };
    let why = match connection.run(&mut orders).await {
        Err(why) => why,
        Ok(()) => {
            connection.close().await;
            "the session was closed".to_owned()
        }
    };
    state.end.send_replace(Some(why));
    state.watches.end();
    // Whoever waits, or is about to, sees the end.
    orders.close();
}

/// Writes some of what waits, or has what was written leave if nothing does; whether all has left.
async fn write_some(
    write: &mut (impl AsyncWrite + Unpin),
    outgoing: &mut BytesMut,
) -> std::io::Result<bool> {
    if outgoing.is_empty() {
        return write.flush().await.map(|()| true);
    }
    write.write_buf(outgoing).await.map(|_| false)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Runs until nobody sends orders any more.
    ///
    /// # Errors
    /// Why the connection is lost.
    async fn run(&mut self, orders: &mut mpsc::Receiver<Order>) -> Result<(), String> {
        let timeout = self.state.ticket.timeout;
        let ping_every = (timeout / 3).min(PING_EVERY);
        let silence = (timeout * 2 / 3).min(SILENCE);
        let broke = |error: std::io::Error| format!("the connection broke: {error}");
        loop {
            let takes_orders = self.waiting.len() < IN_FLIGHT && self.outgoing.len() < UNWRITTEN;
            let has_outgoing = !self.outgoing.is_empty() || !self.is_flushed;
            let (ping_at, silent_at) = (self.said + ping_every, self.heard + silence);
            // Room for the next read, in steps that follow what really comes.
            self.incoming.reserve(8 * 1024);
            tokio::select! {
                read = self.read.read_buf(&mut self.incoming) => {
                    if read.map_err(broke)? == 0 {
                        return Err("the server closed the connection".to_owned());
                    }
                    self.heard = Instant::now();
                    self.take_frames()?;
                }
                flushed = write_some(&mut self.write, &mut self.outgoing), if has_outgoing => {
                    self.is_flushed = flushed.map_err(broke)?;
                }
                order = orders.recv(), if takes_orders => match order {
                    Some(order) => self.ask(order),
                    None => return Ok(()),
                },
                () = sleep_until(silent_at) => {
                    return Err(format!("the server has been silent for {silence:?}"));
                }
                () = sleep_until(ping_at) => self.say(&message::plain(ZooKeeperOp::Ping, xid::PING)),
            }
        }
    }

    fn say(&mut self, frame: &[u8]) {
        self.outgoing.extend_from_slice(frame);
        self.said = Instant::now();
    }

    fn ask(&mut self, mut order: Order) {
        self.last_xid = self.last_xid.checked_add(1).unwrap_or(1);
        message::number(&mut order.frame, self.last_xid);
        self.say(&order.frame);
        self.waiting.push_back((self.last_xid, order.answer));
    }

    /// Takes the frames that have come whole, and what has come of one that is not kept.
    fn take_frames(&mut self) -> Result<(), String> {
        const FOREIGN: &str = "what the server sends is not ZooKeeper's protocol";
        loop {
            let skipped = self.skipping.min(self.incoming.len());
            self.incoming.advance(skipped);
            self.skipping -= skipped;
            let Some(length) = self.incoming.first_chunk().map(|four| u32::from_be_bytes(*four))
            else {
                return Ok(());
            };
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if length < AnswerHead::LENGTH || i32::try_from(length).is_err() {
                return Err(FOREIGN.to_owned());
            }
            let is_kept = length <= MAX_ANSWER;
            let needed = if is_kept { length } else { AnswerHead::LENGTH };
            if self.incoming.len() < 4 + needed {
                return Ok(());
            }
            self.incoming.advance(4);
            let frame = self.incoming.split_to(needed).freeze();
            if needed > LONG_ANSWER {
                // Else its memory would be used again, and held for as long as the connection.
                self.incoming = BytesMut::from(&*self.incoming);
            }
            self.skipping = length - needed;
            self.take(frame, length, is_kept).map_err(|NotJute| FOREIGN.to_owned())?;
        }
    }

    fn take(&mut self, frame: Bytes, length: usize, is_kept: bool) -> Result<(), NotJute> {
        let mut body = JuteReader::new(frame.clone());
        let head = AnswerHead::read(&mut body)?;
        match head.xid {
            xid::PING | xid::AUTH => return Ok(()),
            xid::EVENT => {
                let (kinds, path) = message::event(&mut body)?;
                self.state.watches.fire(kinds, &path);
                return Ok(());
            }
            _ => {}
        }
        self.state.ticket.see(head.zxid);
        let (xid, answer) = self.waiting.pop_front().ok_or(NotJute)?;
        if xid != head.xid {
            return Err(NotJute);
        }
        let result = match head.code {
            Some(code) => Err(RequestFailure::Code(code)),
            None if !is_kept => Err(RequestFailure::TooLong(length)),
            None => Ok(frame.slice(AnswerHead::LENGTH..)),
        };
        // An error says that nobody waits for it any more.
        let _ = answer.send(result);
        Ok(())
    }

    /// Ends the session at the servers.
    async fn close(&mut self) {
        self.state.ticket.end();
        self.last_xid = self.last_xid.checked_add(1).unwrap_or(1);
        self.say(&message::plain(ZooKeeperOp::Close, self.last_xid));
        let goodbye = async {
            self.write.write_all_buf(&mut self.outgoing).await?;
            self.write.flush().await?;
            // The server hangs up once it is done.
            while self.read.read_buf(&mut self.incoming).await? > 0 {
                self.incoming.clear();
            }
            std::io::Result::Ok(())
        };
        // If it fails, the servers end the session themselves after a while.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}
