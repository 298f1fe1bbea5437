//! The graceful shutdown of a provider: consumers are told, calls end, connections close.

use std::time::Duration;

use rpc_core::server::Phase;
use tokio::time::Instant;

use super::server::Server;

/// How long connections may take to write what they have, once no call runs.
const FLUSH: Duration = Duration::from_secs(1);

/// How long is waited for what was ended: tasks end when they are polled, and a handler may hold its
/// thread.
const ENDING: Duration = Duration::from_secs(1);

/// The result of a drain: what did not end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainReport {
    /// Calls that were still running at the limit and were dropped.
    pub cut_calls: usize,
    /// Connections that did not close by themselves.
    pub cut_connections: usize,
    /// How long it took.
    pub took: Duration,
}

impl Server {
    /// Tells consumers to send no new calls; calls that come nevertheless are served.
    ///
    /// [`drain`](Self::drain) does so too. On its own it empties a provider that goes on running.
    pub fn announce_drain(&self) {
        self.state.enter(Phase::Notice);
    }

    /// Shuts the server down without losing calls, and says what had to be cut.
    ///
    /// 1. It tells consumers to send no new calls, and goes on serving for at most `notice`, or until
    ///    they have all closed their connections.
    /// 2. It refuses new calls, which consumers send elsewhere, and waits for running ones until `limit`
    ///    has passed since the beginning.
    /// 3. It closes what is left, which takes at most a second more, or two if a handler holds its
    ///    thread. The ports are free afterwards, and neither connections nor calls are left.
    ///
    /// # Cancel safety
    /// Dropping the future drops the server: everything is closed at once, and calls that run are
    /// cut.
    pub async fn drain(mut self, notice: Duration, limit: Duration) -> DrainReport {
        let (started, state) = (Instant::now(), self.state.clone());
        let limit = started + limit;
        state.enter(Phase::Notice);
        state.no_connections((started + notice).min(limit)).await;
        state.enter(Phase::Refusing);
        self.close_ports();
        let cut_calls = state.no_calls(limit).await;
        state.enter(Phase::Closing);
        let cut_connections = state.no_connections(Instant::now() + FLUSH).await;
        self.end().await;
        DrainReport { cut_calls, cut_connections, took: started.elapsed() }
    }

    /// Ends what is left, and waits until it is gone.
    async fn end(&mut self) {
        self.abort();
        let limit = Instant::now() + ENDING;
        for accepting in &mut self.accepting {
            // An error says that it was aborted.
            let _ = tokio::time::timeout_at(limit, accepting).await;
        }
        self.state.no_connections(limit).await;
        self.state.no_calls(limit).await;
    }
}
