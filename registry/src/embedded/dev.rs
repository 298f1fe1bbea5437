//! `dev://name`: no registry to start; one of the providers hosts it, and another takes over.
//!
//! For development on one machine. Only processes that register something host; the others wait
//! until there is a host. When it dies the next provider takes over within moments, and every
//! client registers with the new host. Nothing is kept on disk beyond the address of the host.

use std::future::pending;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rpc_core::{BuildContext, Error, Extension};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::client::Client;
use super::dubhe::dial;
use super::election::{Address, Meeting, Office};
use super::secret::Identity;
use super::server::EmbeddedServer;
use super::settings::RegistryServerConfig;
use crate::backend::{Backend, Demand, Session};
use crate::lock::locked;
use crate::off_thread::off_thread;
use crate::{Pace, Registry, RegistryParams, RegistryUrl, supervise};

/// A host on this machine that does not greet within this time is not the one we look for: its port
/// may have gone to another program.
const GREETING: Duration = Duration::from_millis(500);

/// The registry `dev://name` of one user on this machine; the name separates projects.
///
/// Nothing has to be started: the first process that registers an instance hosts the registry, and
/// another provider takes over when it dies. The processes find each other in
/// [`RegistryParams::runtime_dir`], which no other user may write to.
#[derive(Debug)]
pub struct Dev {
    meeting: Meeting,
    url: String,
    identity: Arc<Identity>,
    /// The registry, if this process hosts it.
    hosting: Mutex<Option<Hosting>>,
}

/// The outcome of looking for a host.
enum Joined {
    Session(Arc<Client>),
    /// A host that is alive but does not answer.
    Silent {
        process: Option<u32>,
    },
    Nobody,
}

#[derive(Debug)]
struct Hosting {
    /// Ends before the lock is released.
    server: Option<EmbeddedServer>,
    office: SharedOffice,
    /// Gives the office up as its runtime ends, with which the server has ended.
    in_runtime: AbortHandle,
}

type SharedOffice = Arc<Mutex<Option<Office>>>;

/// Gives an office up.
struct OfficeEnd(SharedOffice);

impl Hosting {
    fn new(server: EmbeddedServer, office: Office) -> Self {
        let office = Arc::new(Mutex::new(Some(office)));
        let end = OfficeEnd(Arc::clone(&office));
        let in_runtime = tokio::spawn(async move {
            let _end = end;
            pending::<()>().await;
        });
        Self { server: Some(server), office, in_runtime: in_runtime.abort_handle() }
    }
}

impl Drop for OfficeEnd {
    fn drop(&mut self) {
        let office = locked(&self.0).take();
        drop(office);
    }
}

impl Drop for Hosting {
    fn drop(&mut self) {
        self.server = None;
        drop(OfficeEnd(Arc::clone(&self.office)));
        self.in_runtime.abort();
    }
}

impl Extension<dyn Registry> for Dev {
    const NAME: &'static str = "dev";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        let url = RegistryUrl::parse(&config.url)?;
        url.expect_only(false, &[])?;
        let name = match &url.hosts[..] {
            [] => "default",
            [host] if host.port.is_none() && is_plain(&host.name) => &host.name,
            _ => return Err(url.wrong("it takes one name of letters, digits, `-`, `_` and `.` and no port, as in dev://shop")),
        };
        let dir = config.runtime_dir.as_deref().map(Path::to_owned);
        let dev = Self {
            meeting: Meeting::new(dir, name),
            url: url.to_string(),
            identity: Identity::random(),
            hosting: Mutex::new(None),
        };
        Ok(supervise(Arc::new(dev), &config))
    }
}

impl Dev {
    /// Looks for the present host.
    async fn join(&self) -> Result<Joined, Error> {
        let meeting = self.meeting.clone();
        let Some(Address { server, token, process }) =
            off_thread(move || meeting.address()).await?
        else {
            return Ok(Joined::Nobody);
        };
        match timeout(GREETING, dial(&server, (&self.url, &token), &self.identity)).await {
            Ok(Ok(session)) => Ok(Joined::Session(session)),
            Ok(Err(_)) => Ok(Joined::Nobody),
            Err(_) => {
                let meeting = self.meeting.clone();
                let is_taken = off_thread(move || Ok(meeting.is_taken())).await?;
                Ok(if is_taken { Joined::Silent { process } } else { Joined::Nobody })
            }
        }
    }

    /// The error if there is no session with the process that was looked for.
    fn without(&self, joined: &Joined) -> Error {
        let why = match joined {
            Joined::Silent { process: Some(process) } => format!(
                "its host, process {process}, does not answer, it is stopped or busy: let it go on \
                 (kill -CONT {process}), or end it (kill -9 {process}) and another provider takes over"
            ),
            Joined::Silent { process: None } => {
                let lock = self.meeting.lock_file();
                format!(
                    "its host does not answer, it is stopped or busy: end the process that holds {} (fuser {0} \
                     names it) and another provider takes over",
                    lock.display()
                )
            }
            Joined::Nobody | Joined::Session(_) => {
                "no provider runs, start one with this registry".to_owned()
            }
        };
        Error::unreachable(format!("registry {}: {why}", self.url))
    }

    /// Hosts the registry, unless another process does.
    async fn host(&self) -> Result<bool, Error> {
        let meeting = self.meeting.clone();
        let Some(office) = off_thread(move || meeting.take_office()).await? else {
            return Ok(false);
        };
        let token = format!("{:032x}", rand::random::<u128>());
        let server = EmbeddedServer::bind(
            "127.0.0.1:0",
            RegistryServerConfig {
                token: token.clone(),
                // A developer who has killed everything should not wait long for the first list.
                withhold: Duration::from_secs(3),
                push_gap: Duration::from_millis(20),
                ..RegistryServerConfig::default()
            },
        )
        .await?;
        let process = Some(std::process::id());
        let address = Address { server: server.local_addr().to_string(), token, process };
        let office = off_thread(move || office.announce(&address).map(|()| office)).await?;
        *locked(&self.hosting) = Some(Hosting::new(server, office));
        tracing::debug!(
            target: "dubhe::registry::server",
            registry = self.url, "this process hosts the registry"
        );
        Ok(true)
    }
}

#[async_trait]
impl Backend for Dev {
    fn address(&self) -> String {
        self.url.clone()
    }

    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        let joined = self.join().await?;
        match joined {
            Joined::Session(session) => return Ok(session),
            Joined::Nobody if demand.provides => {}
            Joined::Nobody | Joined::Silent { .. } => return Err(self.without(&joined)),
        }
        if self.host().await?
            && let Joined::Session(session) = self.join().await?
        {
            return Ok(session);
        }
        Err(Error::unreachable(format!("registry {}: its host does not answer yet", self.url)))
    }

    fn pace(&self) -> Pace {
        Pace {
            connect_timeout: Duration::from_secs(2),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_millis(200),
            reader_spread: Duration::ZERO,
            // Another provider takes over, or all processes end, like the only program of a first
            // try.
            grace: Duration::from_secs(1),
            ..Pace::default()
        }
    }

    fn is_local(&self) -> bool {
        true
    }

    fn is_cached(&self) -> bool {
        false
    }

    fn close(&self) {
        locked(&self.hosting).take();
    }
}

fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    name.len() <= 64 && name.chars().all(plain) && !name.starts_with('.')
}
