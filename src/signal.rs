//! Signals that end a program: SIGTERM, SIGINT and SIGHUP, or Ctrl-C where there are no signals.

use std::time::Duration;

use rpc_core::{Error, runtime};
use tokio::time::{Instant, timeout_at};

/// Signals that come within this time of the first belong to it: `timeout` signals its child and
/// then its whole group, a closed terminal and a service manager do likewise.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// Signals that ask the process to end, caught from the moment this is made: SIGTERM, SIGINT, and
/// SIGHUP unless it is ignored, as under `nohup`, or the program handles it. Providers have their own;
/// this is for programs that serve something else, such as a registry.
#[cfg(unix)]
#[derive(Debug)]
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    /// A closed terminal; `None` where that is to go unnoticed, or is the program's own to handle.
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    /// Catches them from now on: none is lost while the program starts.
    ///
    /// # Errors
    /// The system does not let this process listen; there is no tokio runtime here, or one without IO.
    pub fn listen() -> Result<Self, Error> {
        use tokio::signal::unix::{SignalKind, signal};

        runtime::whole()?;

        let listen = |kind| signal(kind).map_err(cannot_listen);
        // Asked before anything is caught: what is caught later is caught by us.
        let hangup = is_hangup_ours().then(|| listen(SignalKind::hangup())).transpose()?;
        let terminate = listen(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: listen(SignalKind::interrupt())?, hangup })
    }

    /// Waits for the next one and names it.
    ///
    /// # Cancel safety
    /// Dropping the future loses no signal.
    pub async fn next(&mut self) -> &'static str {
        let Self { terminate, interrupt, hangup } = self;
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            Some(_) = async { Some(hangup.as_mut()?.recv().await) } => "SIGHUP",
        }
    }
}

impl Signals {
    /// After the first: waits for one that is not part of the same request, and names it.
    pub(crate) async fn again(&mut self) -> &'static str {
        another(self).await
    }
}

/// Where signals come from.
trait Source {
    fn next(&mut self) -> impl Future<Output = &'static str> + Send;
}

impl Source for Signals {
    fn next(&mut self) -> impl Future<Output = &'static str> + Send {
        Self::next(self)
    }
}

/// The first that comes more than [`ONE_REQUEST`] from now.
async fn another(source: &mut impl Source) -> &'static str {
    let until = Instant::now() + ONE_REQUEST;
    while timeout_at(until, source.next()).await.is_ok() {}
    source.next().await
}

/// Whether SIGHUP would end the process, so that this crate may catch it: `nohup` ignores it, and a
/// program may handle it to read its settings again. The answer does not change later. If the
/// system does not say, it is `false`.
#[cfg(unix)]
fn is_hangup_ours() -> bool {
    use std::sync::OnceLock;

    static IS_OURS: OnceLock<bool> = OnceLock::new();
    *IS_OURS.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status");
        status.is_ok_and(|status| is_hangup_deadly(&status))
    })
}

/// Whether SIGHUP is neither ignored nor caught, by the text of `/proc/self/status`.
#[cfg(unix)]
fn is_hangup_deadly(status: &str) -> bool {
    // Signal number 1 is the lowest bit.
    let has = |name| {
        let mut lines = status.lines();
        let mask = lines.find_map(|line: &str| line.strip_prefix(name))?;
        Some(u64::from_str_radix(mask.trim(), 16).ok()? & 1 == 1)
    };
    has("SigIgn:") == Some(false) && has("SigCgt:") == Some(false)
}

/// Ctrl-C.
#[cfg(not(unix))]
#[derive(Debug)]
pub struct Signals(());

#[cfg(not(unix))]
impl Signals {
    /// Catches them from now on: none is lost while the program starts.
    ///
    /// # Errors
    /// The system does not let this process listen.
    pub fn listen() -> Result<Self, Error> {
        Ok(Self(()))
    }

    /// Waits for the next one and names it.
    pub async fn next(&mut self) -> &'static str {
        if let Err(error) = tokio::signal::ctrl_c().await.map_err(cannot_listen) {
            tracing::error!(target: "dubhe::provider", %error, "only a kill ends this process");
            std::future::pending::<()>().await;
        }
        "Ctrl-C"
    }
}

fn cannot_listen(error: std::io::Error) -> Error {
    Error::invalid_config(format!("cannot listen for signals: {error}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use tokio::time::sleep;

    use super::*;

    /// Signals at these times from its beginning on.
    struct Due(Instant, VecDeque<Duration>);

    impl Source for Due {
        async fn next(&mut self) -> &'static str {
            // Whoever gives up waiting has not heard it.
            sleep(self.1[0].saturating_sub(self.0.elapsed())).await;
            self.1.pop_front();
            "SIGTERM"
        }
    }

    #[tokio::test(start_paused = true)]
    async fn signals_within_a_second_are_one_request_and_a_later_one_is_another() {
        let begun = Instant::now();
        let due = VecDeque::from([0, 5, 990, 1_500].map(Duration::from_millis));
        assert_eq!(another(&mut Due(begun, due)).await, "SIGTERM");
        assert_eq!(begun.elapsed(), Duration::from_millis(1_500));
    }

    #[cfg(unix)]
    #[test]
    fn a_hangup_that_is_ignored_or_caught_by_the_program_is_left_alone() {
        let status = |ignored, caught| {
            format!("Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t{ignored}\nSigCgt:\t{caught}\n")
        };
        let (none, hangup) = ("0000000000001000", "0000000000001001");
        assert!(is_hangup_deadly(&status(none, none)));
        assert!(!is_hangup_deadly(&status(hangup, none)));
        assert!(!is_hangup_deadly(&status(none, hangup)));
        assert!(!is_hangup_deadly("Name:\tx\n"));
    }
}
