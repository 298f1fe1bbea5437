//! A TCP proxy in front of a provider that can be told to fail as networks do.

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
}

/// A proxy on a port of its own; ends when it is dropped.
pub(crate) struct Proxy {
    port: u16,
    fault: watch::Sender<Fault>,
    task: AbortHandle,
}

impl Proxy {
    /// A proxy, and where to say what it leads to.
    pub(crate) async fn start() -> Result<(Self, watch::Sender<String>), BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (fault, target) = (watch::Sender::new(Fault::None), watch::Sender::new(String::new()));
        let task = tokio::spawn(serve(port, listener, fault.subscribe(), target.subscribe()));
        Ok((Self { port, fault, task: task.abort_handle() }, target))
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
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

async fn serve(
    port: u16,
    listener: TcpListener,
    mut fault: watch::Receiver<Fault>,
    target: watch::Receiver<String>,
) {
    let mut listener = Some(listener);
    // Aborted with this task.
    let mut connections = JoinSet::new();
    loop {
        let now = *fault.borrow_and_update();
        if now == Fault::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(("127.0.0.1", port)).await.ok();
        }
        tokio::select! {
            changed = fault.changed() => if changed.is_err() { return },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = accept(listener.as_ref()) => {
                connections.spawn(carry(accepted, fault.clone(), target.borrow().clone()));
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
async fn carry(mut from: TcpStream, mut fault: watch::Receiver<Fault>, target: String) {
    if *fault.borrow() == Fault::Reset {
        return reset(&from);
    }
    let Ok(mut to) = TcpStream::connect(target).await else { return };
    let (requests, answers) = (fault.clone(), fault.clone());
    let ended = async {
        let ends = |fault: &Fault| matches!(fault, Fault::Refuse | Fault::Reset);
        fault.wait_for(ends).await.is_ok_and(|fault| *fault == Fault::Reset)
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
    mut fault: watch::Receiver<Fault>,
    direction: Direction,
) {
    let mut piece = vec![0; 64 * 1024];
    let mut swallowed = false;
    loop {
        let Ok(length @ 1..) = read.read(&mut piece).await else { return };
        let held = fault.wait_for(|fault| *fault != Fault::HalfOpen).await.map(|fault| *fault);
        let Ok(now) = held else { return };
        match now {
            Fault::SwallowAnswers if direction == Direction::Answers => {
                swallowed = true;
                continue;
            }
            Fault::Slow(delay) if direction == Direction::Answers => {
                tokio::time::sleep(delay).await
            }
            _ => {}
        }
        // What follows a gap begins in the middle of a frame.
        if swallowed || write.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}
