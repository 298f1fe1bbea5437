//! A TCP proxy in front of a provider that can be told to fail as networks do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use crate::BoxError;

/// What the proxy does with connections, those it has and those to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Passes everything on.
    None,
    /// Nobody listens: new connections are refused, those there are end.
    Refuse,
    /// Takes connections and resets them at once, those there are too.
    Reset,
    /// Half-open: takes connections, and no byte goes through in either direction any more.
    HalfOpen,
    /// Each piece of an answer is held back for this long.
    Slow(Duration),
    /// Requests pass, answers do not.
    SwallowAnswers,
    /// One byte of each piece of an answer is replaced by one that is in no text.
    Damage,
}

/// A proxy on a port of its own; ends when it is dropped.
pub(crate) struct Proxy {
    port: u16,
    fault: watch::Sender<Fault>,
    damaged: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Proxy {
    /// A proxy, and where to say what it leads to.
    pub(crate) async fn start() -> Result<(Self, watch::Sender<String>), BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (fault, target) = (watch::Sender::new(Fault::None), watch::Sender::new(String::new()));
        let damaged = Arc::<AtomicUsize>::default();
        let ends = Ends { fault: fault.subscribe(), damaged: damaged.clone() };
        let task = tokio::spawn(serve(port, listener, ends, target.subscribe()));
        Ok((Self { port, fault, damaged, task: task.abort_handle() }, target))
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How many pieces of answers were damaged.
    pub(crate) fn damaged(&self) -> usize {
        self.damaged.load(Ordering::Relaxed)
    }

    pub(crate) fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What tells a connection how to fail, and where it counts.
#[derive(Clone)]
struct Ends {
    fault: watch::Receiver<Fault>,
    damaged: Arc<AtomicUsize>,
}

async fn serve(port: u16, listener: TcpListener, mut ends: Ends, target: watch::Receiver<String>) {
    let mut listener = Some(listener);
    // Aborted with this task.
    let mut connections = JoinSet::new();
    loop {
        let now = *ends.fault.borrow_and_update();
        if now == Fault::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(("127.0.0.1", port)).await.ok();
        }
        tokio::select! {
            changed = ends.fault.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(listener.as_ref()) => {
                connections.spawn(carry(accepted, ends.clone(), target.borrow().clone()));
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    loop {
        match listener {
            None => std::future::pending().await,
            Some(listener) => match listener.accept().await {
                Ok((stream, _)) => return stream,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
}

/// One connection, until either side or a fault ends it.
async fn carry(mut from: TcpStream, mut ends: Ends, target: String) {
    if *ends.fault.borrow() == Fault::Reset {
        return reset(&from);
    }
    let Ok(mut to) = TcpStream::connect(target).await else { return };
    let (requests, answers) = (ends.clone(), ends.clone());
    let ended = async {
        let is_end = |fault: &Fault| matches!(fault, Fault::Refuse | Fault::Reset);
        ends.fault.wait_for(is_end).await.is_ok_and(|fault| *fault == Fault::Reset)
    };
    let (from_read, from_write) = from.split();
    let (to_read, to_write) = to.split();
    let is_reset = tokio::select! {
        is_reset = ended => is_reset,
        () = pump(from_read, to_write, requests, Direction::Requests) => false,
        () = pump(to_read, from_write, answers, Direction::Answers) => false,
    };
    if is_reset {
        reset(&from);
    }
}

/// Closing without lingering sends RST instead of FIN.
fn reset(stream: &TcpStream) {
    // It fails only on a connection that is gone, which is what is wanted.
    let _ = stream.set_zero_linger();
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Requests,
    Answers,
}

async fn pump(
    mut read: ReadHalf<'_>,
    mut write: WriteHalf<'_>,
    mut ends: Ends,
    direction: Direction,
) {
    let mut piece = vec![0; 64 * 1024];
    let mut swallowed = false;
    loop {
        let Ok(length @ 1..) = read.read(&mut piece).await else { return };
        let held = ends.fault.wait_for(|fault| *fault != Fault::HalfOpen).await.map(|fault| *fault);
        let Ok(now) = held else { return };
        match now {
            Fault::SwallowAnswers if direction == Direction::Answers => {
                swallowed = true;
                continue;
            }
            Fault::Slow(delay) if direction == Direction::Answers => {
                tokio::time::sleep(delay).await
            }
            Fault::Damage if direction == Direction::Answers => {
                // Never first, where the length of a frame stands: that would be another fault.
                piece[length / 2] = 0xff;
                ends.damaged.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        // What follows a gap begins in the middle of a frame.
        if swallowed || write.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
