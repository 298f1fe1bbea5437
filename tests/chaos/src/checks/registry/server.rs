//! A registry of any kind that can be killed, stopped, revived, emptied and cut off, the same way for all.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::hand::Hand;
use super::kind::Kind;
use super::serving::Serving;
use super::theirs::Theirs;
use crate::BoxError;
use crate::fleet::Member;

/// The service whose providers are listed.
pub(super) const STORE: &str = "chaos.Store";

/// A registry server, or several that are one.
pub(super) struct Server {
    pub(super) kind: Kind,
    /// Calls a second to the providers that it lists.
    pub(super) rate: u32,
    real: Real,
    /// Seconds of a lease, and between two renewals, of the embedded one.
    lease: [u64; 2],
}

enum Real {
    Ours { member: Box<Member>, folder: TempDir },
    // `None` only while something that blocks is done to it, elsewhere.
    Theirs(Option<Box<Theirs>>),
}

impl Server {
    /// Starts one; `None`, told loudly, if it is not installed.
    pub(super) async fn start(
        kind: Kind,
        quick: bool,
        rate: u32,
    ) -> Result<Option<Self>, BoxError> {
        let lease = if quick { [6, 2] } else { [30, 10] };
        let real = match kind {
            Kind::Embedded => {
                let folder = tempfile::tempdir()?;
                let member = Box::new(embedded("0", &folder, lease).await?);
                Real::Ours { member, folder }
            }
            _ => match tokio::task::spawn_blocking(move || Theirs::start(kind)).await? {
                Some(theirs) => Real::Theirs(Some(Box::new(theirs))),
                None => return Ok(None),
            },
        };
        Ok(Some(Self { kind, rate, real, lease }))
    }

    /// Where clients reach it.
    pub(super) fn url(&self) -> String {
        match &self.real {
            Real::Ours { member, .. } => format!("dubhe://{}", member.address),
            Real::Theirs(theirs) => theirs.as_ref().map_or(String::new(), |real| real.url()),
        }
    }

    /// How long what a process registered outlives its silence, with what its server takes to see that.
    pub(super) fn session(&self) -> Duration {
        Duration::from_secs(match self.kind {
            Kind::Embedded => self.lease[0] + 5,
            // Of what the addresses ask for, and of what servers with these clocks grant.
            Kind::ZooKeeper | Kind::ZooKeeper3 => 6,
            Kind::Etcd | Kind::Etcd3 => 9,
            Kind::Nacos3 => 40,
            Kind::Nacos2 => 60,
        })
    }

    /// SIGKILL to all of it.
    pub(super) async fn kill(&mut self) -> Result<(), BoxError> {
        match &mut self.real {
            Real::Ours { member, .. } => member.kill().await,
            Real::Theirs(theirs) => apart(theirs, Theirs::kill).await,
        }
    }

    /// SIGKILL to one of several.
    pub(super) async fn kill_one(&mut self) -> Result<(), BoxError> {
        match &mut self.real {
            Real::Ours { member, .. } => member.kill().await,
            Real::Theirs(theirs) => apart(theirs, Theirs::kill_one).await,
        }
    }

    /// Starts what was killed, on its ports and its data, and waits until it serves.
    pub(super) async fn revive(&mut self) -> Result<(), BoxError> {
        match &mut self.real {
            Real::Ours { member, folder } => {
                let port = member.address.rsplit(':').next().unwrap_or_default().to_owned();
                **member = embedded(&port, folder, self.lease).await?;
                Ok(())
            }
            Real::Theirs(theirs) => apart(theirs, Theirs::revive).await,
        }
    }

    /// Removes all that it has kept; it must have been killed.
    pub(super) async fn forget(&mut self) -> Result<(), BoxError> {
        match &mut self.real {
            Real::Ours { folder, .. } => {
                Ok(std::fs::remove_dir_all(folder.path().join("registry"))?)
            }
            Real::Theirs(theirs) => apart(theirs, Theirs::forget).await,
        }
    }

    /// SIGSTOP to all of it.
    pub(super) async fn stop(&mut self) -> Result<(), BoxError> {
        match &mut self.real {
            Real::Ours { member, .. } => member.stop().await,
            Real::Theirs(theirs) => apart(theirs, |theirs| theirs.stop()).await,
        }
    }

    /// SIGCONT to all of it.
    pub(super) async fn resume(&mut self) -> Result<(), BoxError> {
        match &mut self.real {
            Real::Ours { member, .. } => member.resume().await,
            Real::Theirs(theirs) => apart(theirs, |theirs| theirs.resume()).await,
        }
    }

    /// Removes by hand whatever makes the providers of the store listed. No interface of Nacos removes what a
    /// client holds: there the server itself does.
    pub(super) async fn remove_providers(&mut self) -> Result<(), BoxError> {
        match &mut self.real {
            Real::Ours { member, .. } => member.say("remove").await,
            Real::Theirs(theirs) if self.kind.is_nacos() => {
                apart(theirs, Theirs::remove_entries).await
            }
            Real::Theirs(_) => {
                let mut hand = self.hand();
                let paths = [format!("/dubbo/{STORE}/providers"), "/services".to_owned()];
                let removing = tokio::task::spawn_blocking(move || {
                    paths.iter().try_for_each(|path| hand.remove(path.as_bytes()))
                });
                Ok(removing.await??)
            }
        }
    }

    /// Writes to it beside all clients.
    pub(super) fn hand(&self) -> Hand {
        Hand::of(self.kind, &self.url())
    }

    /// Watches since when it serves, where its servers have to agree on that first.
    pub(super) fn serving(&self) -> Serving {
        let has_quorum =
            matches!(self.kind, Kind::ZooKeeper | Kind::ZooKeeper3 | Kind::Etcd | Kind::Etcd3);
        Serving::watch(if has_quorum { Hand::of_each(self.kind, &self.url()) } else { Vec::new() })
    }

    /// Copies the logs of its servers to `folder`, and says how many there were.
    pub(super) fn keep_logs(&self, folder: &Path) -> Result<usize, BoxError> {
        let Real::Theirs(Some(theirs)) = &self.real else { return Ok(0) };
        let logs = theirs.logs();
        std::fs::create_dir_all(folder)?;
        for (number, log) in (1..).zip(&logs) {
            std::fs::copy(log, folder.join(format!("server-{number}.log")))?;
        }
        Ok(logs.len())
    }

    /// Waits until the embedded one says this line.
    pub(super) async fn says(&mut self, line: &str, limit: Duration) -> Result<bool, BoxError> {
        match &mut self.real {
            Real::Ours { member, .. } => member.says(line, limit).await,
            Real::Theirs(_) => Ok(false),
        }
    }
}

/// Lends `theirs` to a thread that may block.
async fn apart<T: Send + 'static>(
    theirs: &mut Option<Box<Theirs>>,
    act: impl FnOnce(&mut Theirs) -> T + Send + 'static,
) -> Result<T, BoxError> {
    let mut lent = theirs.take().ok_or("the registry was lost by what was done to it before")?;
    let (lent, done) = tokio::task::spawn_blocking(move || {
        let done = act(&mut lent);
        (lent, done)
    })
    .await?;
    *theirs = Some(lent);
    Ok(done)
}

async fn embedded(port: &str, folder: &TempDir, lease: [u64; 2]) -> Result<Member, BoxError> {
    let data = folder.path().join("registry");
    let data = data.to_str().ok_or("the folder's name is not UTF-8")?;
    let [lease, renew] = lease.map(|seconds| seconds.to_string());
    Member::start("registry", &["as-registry", port, data, &lease, &renew]).await
}
