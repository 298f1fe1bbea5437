//! Runs code outside of the runtime's threads, on which calls run: what waits for the disk, and what
//! passes over long lists.

use rpc_core::Error;

/// Items above which work on them counts as long: it takes a millisecond or more.
const MANY: usize = 512;

/// Runs what waits for the disk where waiting is fine.
///
/// # Errors
/// That of the work, or the runtime shuts down.
///
/// # Panics
/// As the work does.
pub(crate) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::closed("the runtime shuts down")),
        },
    }
}

/// Runs work on so many items: here if they are few.
///
/// # Errors
/// The runtime shuts down.
pub(crate) async fn off_thread_if_long<T: Send + 'static>(
    items: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    match items > MANY {
        true => off_thread(move || Ok(work())).await,
        false => Ok(work()),
    }
}
