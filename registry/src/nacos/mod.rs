//! `nacos://[user:password@]host[:port][,host[:port]…]`: Nacos 2 and 3, in Dubbo's layouts.
//!
//! A client of our own, because a session has to be one connection, whose end is told at once, and nothing
//! may be tried again behind the back of [`supervise`]. It speaks Nacos' gRPC over HTTP/2 with JSON in it;
//! user and password are exchanged for a token by HTTP.

mod address;
mod connection;
mod examine;
mod followed_service;
#[cfg(test)]
mod live;
mod login;
mod messages;
mod naming;
#[cfg(test)]
mod over_tls;
mod own_hosts;
mod payload;
mod place;
#[cfg(test)]
mod played;
mod push_reader;
mod pushed_head;
mod pushes;
mod refusal;
mod settings;
mod tree;
mod unread_list;
mod waiting_lists;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rand::seq::SliceRandom as _;
use rpc_core::{BuildContext, Error, Extension, Instance};
use tokio::time::timeout;

use self::connection::{NacosConnection, NacosServer};
use self::login::Login;
use self::pushes::Pushes;
use self::tree::NacosTree;
use crate::backend::{Backend, Demand, Session};
use crate::dubbo::{Layout, TreeSession};
use crate::tls::TlsSettings;
use crate::{Diagnosis, Pace, Registry, RegistryParams, supervise};

/// The port of HTTP if an address has none; that of gRPC is 1000 higher.
const DEFAULT_PORT: u16 = 8848;

/// The namespace and the group of services if an address names none.
const PUBLIC: &str = "public";
const DEFAULT_GROUP: &str = "DEFAULT_GROUP";

/// How long one server may take to let us in; then the next is tried.
const SERVER_LIMIT: Duration = Duration::from_secs(2);

/// The registry `nacos://[user:password@]host[:port][,host[:port]…]`, feature `nacos`.
///
/// The port is that of HTTP, 8848 by default; gRPC is expected 1000 above it. Several servers of one
/// cluster are tried in random order.
///
/// | parameter of the address | meaning | default |
/// | --- | --- | --- |
/// | `tls`, `ca`, `cert`, `key`, `server-name` | TLS on both ports, as for all registries: the server is checked against `ca` or what the system trusts; `cert` and `key` are our own | `false` |
/// | `namespace` | id of the namespace | `public` |
/// | `group` | group of the services | `DEFAULT_GROUP` |
/// | `register-mode` | `interface`, `instance` or `all`: the levels at which providers are registered | `all` |
/// | `register-consumer` | whether a consumer lists itself under the services that it uses | `true` |
///
/// A connection is asked for its health every 5 s and has 4 s to answer. A server may take 2 s to let us
/// in. Lists of up to 64 MiB and 100,000 names of services are read. Nacos 3 refuses instances whose
/// metadata is longer than its limit of 1024 characters; its answer says so.
pub struct Nacos {
    address: Arc<str>,
    servers: Vec<NacosServer>,
    login: Login,
    tls: Option<TlsSettings>,
    namespace: Arc<str>,
    group: Arc<str>,
    layout: Arc<Layout>,
}

impl Extension<dyn Registry> for Nacos {
    const NAME: &'static str = "nacos";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        Ok(supervise(Arc::new(Self::of(&config)?), &config))
    }
}

impl Nacos {
    async fn open(&self, server: &NacosServer, demand: &Demand) -> Result<NacosTree, Error> {
        let pushes = Arc::new(Pushes::default());
        let (address, login) = (&self.address, (&self.login, self.tls.as_ref()));
        let opening = NacosConnection::open(address, server, login, &self.namespace, pushes);
        let silent = |_| {
            let at = &server.grpc;
            Error::unreachable(format!(
                "registry {address}: {at} does not answer within {SERVER_LIMIT:?}, check that it is \
                 running and reachable"
            ))
        };
        let connection = timeout(SERVER_LIMIT, opening).await.map_err(silent)??;
        Ok(NacosTree::new(connection, (&self.namespace, &self.group), demand))
    }
}

#[async_trait]
impl Backend for Nacos {
    fn address(&self) -> String {
        self.address.to_string()
    }

    fn check(&self, instance: &Instance) -> Result<(), Error> {
        self.layout.check(instance)
    }

    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        let mut servers = self.servers.clone();
        servers.shuffle(&mut rand::rng());
        let (mut refused, mut last) = (None, None);
        for server in &servers {
            match self.open(server, demand).await {
                Ok(tree) => {
                    let layout = Arc::clone(&self.layout);
                    return Ok(Arc::new(TreeSession::new(Arc::new(tree), layout, demand)));
                }
                // One server may refuse what others take: it may not reach its users.
                Err(error) if error.is_refused() => refused = Some(error),
                Err(error) => last = Some(error),
            }
        }
        Err(refused.or(last).unwrap_or_else(|| Error::closed("no server was tried")))
    }

    fn has_settings(&self) -> bool {
        true
    }

    /// Of each server both ports: that of HTTP, for logins, and that of gRPC.
    fn servers(&self) -> Vec<String> {
        self.servers.iter().flat_map(|server| [server.http.clone(), server.grpc.clone()]).collect()
    }

    async fn examine(&self, address: &str) -> Result<Vec<Diagnosis>, Error> {
        examine::examine(self, address).await
    }

    /// Lists and registrations go by gRPC, and logins alone by HTTP.
    fn opens_sessions(&self, address: &str) -> bool {
        self.servers.iter().any(|server| server.grpc == address)
    }

    fn unneeded(&self, address: &str) -> Option<String> {
        let why = "nothing is to be done: only logins need it, and the address has no user";
        (!self.opens_sessions(address) && self.login.user.is_empty()).then(|| why.to_owned())
    }

    fn pace(&self) -> Pace {
        let servers = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        // What of a list is lost with a server comes back sooner than 5 s after it, pushes included,
        // which Nacos puts together for half a second.
        let longest_pause = Duration::from_secs(2);
        let connect_timeout = SERVER_LIMIT * servers + Duration::from_secs(1);
        Pace { connect_timeout, longest_pause, ..Pace::default() }
    }
}

impl fmt::Debug for Nacos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nacos({})", self.address)
    }
}
