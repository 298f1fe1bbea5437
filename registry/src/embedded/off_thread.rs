//! Runs code that waits for the disk outside of the runtime's threads.

use rpc_core::Error;

/// Runs what waits for the disk where waiting is fine.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::closed("the runtime shuts down")))
}
