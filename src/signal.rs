//! Waiting for the process to be asked to end.

use rpc_core::Error;

/// Waits for SIGTERM or SIGINT and names it.
#[cfg(unix)]
pub(crate) async fn shutdown() -> Result<&'static str, Error> {
    use tokio::signal::unix::{SignalKind, signal};

    let listen = |kind| {
        signal(kind).map_err(|error| {
            Error::invalid_config(format!("cannot listen for signals: {error}")).with_source(error)
        })
    };
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// Waits for Ctrl-C.
#[cfg(not(unix))]
pub(crate) async fn shutdown() -> Result<&'static str, Error> {
    let cannot = |error| Error::invalid_config("cannot listen for Ctrl-C").with_source(error);
    tokio::signal::ctrl_c().await.map_err(cannot)?;
    Ok("Ctrl-C")
}
