//! An open connection: one task that writes requests, hands out answers in the order of the requests,
//! passes changes to the watches, and keeps the session alive.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Requests on their way to the connection, one behind the other.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) frames: BytesMut,
    pub(super) answers: AnswersTo,
}

/// Where answers go; gone if nobody waits for them any more.
#[derive(Debug)]
pub(super) enum AnswersTo {
    /// Of one request.
    One(oneshot::Sender<RequestOutcome>),
    /// Of several, together once all have come: one is woken, once.
    All { left: usize, came: Vec<RequestOutcome>, to: oneshot::Sender<Vec<RequestOutcome>> },
}

/// What a connection shares with those who use it.
#[derive(Debug)]
pub(super) struct ConnectionState {
    pub(super) ticket: Arc<SessionTicket>,
    pub(super) watches: WatchTable,
    /// Whether the session ends with its last handle. One that a connection goes on with belongs to who had it before,
    /// until somebody has it again.
    pub(super) is_handed_out: AtomicBool,
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
    /// Those whose next answer has this number, in the order of their requests.
    waiting: VecDeque<(i32, AnswersTo)>,
    /// How many answers that are.
    in_flight: usize,
    last_xid: i32,
    /// Bytes of an answer that is too long and is not kept.
    skipping: usize,
    heard: Instant,
    said: Instant,
}

impl AnswersTo {
    /// Hands an answer on; whoever waits for more is left.
    fn answer(self, outcome: RequestOutcome) -> Option<Self> {
        // An error says that nobody waits for it any more.
        match self {
            Self::One(to) => drop(to.send(outcome)),
            Self::All { left, mut came, to } => {
                came.push(outcome);
                if left > 1 {
                    return Some(Self::All { left: left - 1, came, to });
                }
                let _ = to.send(came);
            }
        }
        None
    }
}

/// Drives a connection until it breaks, or nobody sends orders any more; then it closes the session,
/// so that what it owns is gone at once, unless that is not handed out.
pub(super) async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    state: Arc<ConnectionState>,
    (mut orders, mut held): (mpsc::Receiver<Order>, oneshot::Receiver<Infallible>),
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
        in_flight: 0,
        last_xid: 0,
        skipping: 0,
        heard: Instant::now(),
        said: Instant::now(),
    };
    let why = match connection.run(&mut orders, &mut held).await {
        Err(why) => why,
        Ok(()) if !state.is_handed_out.load(Ordering::Acquire) => {
            "the connection was given up".to_owned()
        }
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
    /// Runs until nobody sends orders any more; `held` tells that where no orders are taken.
    ///
    /// # Errors
    /// Why the connection is lost.
    async fn run(
        &mut self,
        orders: &mut mpsc::Receiver<Order>,
        held: &mut oneshot::Receiver<Infallible>,
    ) -> Result<(), String> {
        let timeout = self.state.ticket.timeout;
        let ping_every = (timeout / 3).min(PING_EVERY);
        let silence = (timeout * 2 / 3).min(SILENCE);
        let broke = |error: std::io::Error| format!("the connection broke: {error}");
        loop {
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
                order = orders.recv(), if self.takes_orders() => {
                    let Some(order) = order else { return Ok(()) };
                    self.ask(order);
                    // What is there already leaves in one write.
                    while self.takes_orders() && let Ok(order) = orders.try_recv() {
                        self.ask(order);
                    }
                }
                _ = &mut *held, if !self.takes_orders() => return Ok(()),
                () = sleep_until(ping_at.min(silent_at)) => {
                    if silent_at <= Instant::now() {
                        return Err(format!("the server has been silent for {silence:?}"));
                    }
                    // What waits to be written is a sign of life as good.
                    match has_outgoing {
                        true => self.said = Instant::now(),
                        false => self.say(&message::plain(ZooKeeperOp::Ping, xid::PING)),
                    }
                }
            }
        }
    }

    fn takes_orders(&self) -> bool {
        self.in_flight < IN_FLIGHT && self.outgoing.len() < UNWRITTEN
    }

    fn say(&mut self, frame: &[u8]) {
        self.outgoing.extend_from_slice(frame);
        self.said = Instant::now();
    }

    fn ask(&mut self, Order { mut frames, answers }: Order) {
        self.waiting.push_back((xid::after(self.last_xid), answers));
        let (mut rest, mut count) = (&mut frames[..], 0);
        while let Some(length) = rest.first_chunk().map(|four| u32::from_be_bytes(*four)) {
            self.last_xid = xid::after(self.last_xid);
            message::number(rest, self.last_xid);
            let end = rest.len().min(4 + usize::try_from(length).unwrap_or(usize::MAX - 4));
            rest = &mut rest[end..];
            count += 1;
        }
        self.in_flight += count;
        self.say(&frames);
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
        let (xid, answers) = self.waiting.pop_front().ok_or(NotJute)?;
        if xid != head.xid {
            return Err(NotJute);
        }
        self.in_flight -= 1;
        let result = match head.code {
            Some(code) => Err(RequestFailure::Code(code)),
            None if !is_kept => Err(RequestFailure::TooLong(length)),
            None => Ok(frame.slice(AnswerHead::LENGTH..)),
        };
        if let Some(answers) = answers.answer(result) {
            self.waiting.push_front((xid::after(xid), answers));
        }
        Ok(())
    }

    /// Ends the session at the servers.
    async fn close(&mut self) {
        self.state.ticket.end();
        self.last_xid = xid::after(self.last_xid);
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
