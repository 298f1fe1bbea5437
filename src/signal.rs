//! Being asked to end: SIGTERM and SIGINT, or Ctrl-C where there are no signals.

use rpc_core::Error;

/// Signals that ask the process to end, caught from the moment this is made.
#[cfg(unix)]
pub(crate) struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn listen() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};

        let listen = |kind| signal(kind).map_err(cannot_listen);
        let terminate = listen(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for the next one and names it.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
pub(crate) struct Signals(());

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn listen() -> Result<Self, Error> {
        Ok(Self(()))
    }

    /// Waits for the next one and names it.
    pub(crate) async fn next(&mut self) -> &'static str {
        if let Err(error) = tokio::signal::ctrl_c().await.map_err(cannot_listen) {
            tracing::error!(%error, "only a kill ends this process");
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

fn cannot_listen(error: std::io::Error) -> Error {
    Error::invalid_config(format!("cannot listen for signals: {error}")).with_source(error)
}
