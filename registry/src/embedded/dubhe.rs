//! `dubhe://[:token@]host[:port]`: the client of an embedded registry that runs as a server.
//!
//! For small teams and single machines with more than one user; costs one connection a process.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use rpc_core::{BuildContext, Error, Extension};
use tokio::net::TcpStream;

use super::client::{Client, ToldServer};
use super::secret::Identity;
use crate::backend::{Backend, Demand, Session};
use crate::url::unreached;
use crate::{Diagnosis, Registry, RegistryParams, RegistryUrl, supervise};

/// The port of a registry server if an address has none.
pub const DEFAULT_PORT: u16 = 20890;

/// The registry `dubhe://[:token@]host[:port]`: a client of an
/// [`EmbeddedServer`](super::EmbeddedServer) somewhere.
///
/// The port is [`DEFAULT_PORT`] unless the address has one. A token in the address goes before
/// [`RegistryParams::token`].
pub struct Dubhe {
    url: RegistryUrl,
    server: String,
    identity: Arc<Identity>,
}

impl Extension<dyn Registry> for Dubhe {
    const NAME: &'static str = "dubhe";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        let mut url = RegistryUrl::parse(&config.url)?;
        url.expect_only(true, &[])?;
        if url.password.is_empty() {
            url.password = config.token.clone().unwrap_or_default();
        }
        let [host] = &url.hosts[..] else {
            return Err(url.wrong("it needs one server, as in dubhe://127.0.0.1:20890"));
        };
        let server = host.address(DEFAULT_PORT);
        Ok(supervise(Arc::new(Self { url, server, identity: Identity::random() }), &config))
    }
}

#[async_trait]
impl Backend for Dubhe {
    fn address(&self) -> String {
        self.url.to_string()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        Ok(self.dial().await?)
    }

    fn servers(&self) -> Vec<String> {
        vec![self.server.clone()]
    }

    async fn examine(&self, server: &str) -> Result<Vec<Diagnosis>, Error> {
        let client = self.dial().await?;
        let ToldServer { release, clients, time } = client.server();
        let release = release.as_deref().unwrap_or("of an older release");
        let seen =
            format!("a registry of Dubhe {release} with {clients} clients, this one included");
        let login = match self.url.password.is_empty() {
            true => "none asked for",
            false => "the token is taken",
        };
        let clock = match time {
            Some(time) => time.diagnosis(server),
            None => Diagnosis::skip("clock", server, "servers of older releases do not tell it"),
        };
        Ok(vec![
            Diagnosis::ok("server", server, seen),
            Diagnosis::ok("login", server, login),
            clock,
        ])
    }
}

impl Dubhe {
    async fn dial(&self) -> Result<Arc<Client>, Error> {
        dial(&self.server, (&self.url.to_string(), &self.url.password), &self.identity).await
    }
}

/// Opens a session with the server at `server`, called `name` in errors.
pub(crate) async fn dial(
    server: &str,
    (name, token): (&str, &str),
    identity: &Arc<Identity>,
) -> Result<Arc<Client>, Error> {
    let stream = TcpStream::connect(server).await.map_err(|error| {
        let what = format!("registry {name}: {}", unreached(server, &error));
        Error::unreachable(what).with_source(error)
    })?;
    // Without it requests are late, no more.
    let _ = stream.set_nodelay(true);
    Client::open(stream, (name, token), identity).await
}

impl fmt::Debug for Dubhe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dubhe({})", self.url)
    }
}
