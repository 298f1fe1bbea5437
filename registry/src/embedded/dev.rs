//! `dev://name`: no registry to start; one of the providers hosts it, and another takes over.
//!
//! For development on one machine. Only processes that register something host; the others wait until
//! there is a host. When it dies the next provider takes over within moments, and everybody tells the
//! new host what it needs to know. Nothing is kept on disk beyond the address of the host.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use rpc_core::{BuildContext, Error, Extension};
use tokio::time::timeout;

use super::client::Client;
use super::dubhe::dial;
use super::meeting::{Address, Meeting, Office};
use super::server::EmbeddedServer;
use super::settings::ServerConfig;
use crate::backend::{Backend, Demand, Session};
use crate::recover::locked;
use crate::{Pace, Registry, RegistryConfig, RegistryUrl, supervise};

/// A host on this machine that does not greet within this time is not the one we look for: its port
/// may have gone to another program.
const GREETING: Duration = Duration::from_millis(500);

/// The registry of one user and project on this machine.
#[derive(Debug)]
pub struct Dev {
    meeting: Meeting,
    url: String,
    /// The registry, if this process hosts it.
    hosting: Mutex<Option<Hosting>>,
}

/// In the order of its end: the server goes before the office.
#[derive(Debug)]
struct Hosting {
    _server: EmbeddedServer,
    _office: Office,
}

impl Extension<dyn Registry> for Dev {
    const NAME: &'static str = "dev";
    type Config = RegistryConfig;

    fn build(config: RegistryConfig, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
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
            hosting: Mutex::new(None),
        };
        Ok(supervise(Arc::new(dev), &config))
    }
}

impl Dev {
    /// The session with the present host, if there is one.
    async fn join(&self) -> Result<Option<Arc<Client>>, Error> {
        let meeting = self.meeting.clone();
        let Some(Address { server, token }) = off_thread(move || meeting.address()).await? else {
            return Ok(None);
        };
        let joined = timeout(GREETING, dial(&server, &self.url, &token)).await;
        Ok(joined.ok().and_then(Result::ok))
    }

    /// Hosts the registry, unless somebody else does.
    async fn host(&self) -> Result<bool, Error> {
        let meeting = self.meeting.clone();
        let Some(office) = off_thread(move || meeting.take_office()).await? else {
            return Ok(false);
        };
        let address = |server: String, token| Address { server, token };
        let token = format!("{:032x}", rand::random::<u128>());
        let server = EmbeddedServer::bind(
            "127.0.0.1:0",
            ServerConfig {
                token: token.clone(),
                // A developer who killed everything shall not wait long for the first list.
                withhold: Duration::from_secs(3),
                push_gap: Duration::from_millis(20),
                ..ServerConfig::default()
            },
        )
        .await?;
        let address = address(server.local_addr().to_string(), token);
        let office = off_thread(move || office.announce(&address).map(|()| office)).await?;
        *locked(&self.hosting) = Some(Hosting { _server: server, _office: office });
        tracing::debug!(registry = self.url, "this process hosts the registry");
        Ok(true)
    }
}

#[async_trait]
impl Backend for Dev {
    fn address(&self) -> String {
        self.url.clone()
    }

    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        if let Some(session) = self.join().await? {
            return Ok(session);
        }
        let url = &self.url;
        if !demand.provides {
            let what = format!("registry {url}: no provider runs, start one with this registry");
            return Err(Error::unreachable(what));
        }
        if self.host().await?
            && let Some(session) = self.join().await?
        {
            return Ok(session);
        }
        Err(Error::unreachable(format!("registry {url}: its host does not answer yet")))
    }

    fn pace(&self) -> Pace {
        Pace {
            connect_timeout: Duration::from_secs(2),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_millis(200),
            reader_spread: Duration::ZERO,
            // Another provider takes over, or everybody ends, as with the one program of a first try.
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

/// Runs what waits for the disk where waiting is fine.
pub(super) async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::closed("the runtime shuts down")))
}
