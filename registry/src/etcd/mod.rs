//! `etcd://[user:password@]host[:port],…`: providers in etcd, in the layout of dubbo-go.
//!
//! For fleets that run etcd already, also beside providers and consumers in Go. Costs one connection
//! a process, and one lease that is renewed every 5 s. What is written is decided in `dubbo/`; this
//! folder knows keys, leases and watches:
//!
//! ```text
//! session.rs   connection, login, lease
//! tree.rs      keys as a tree of nodes; children.rs what is below a path, joint_ranges.rs reads that come together
//! watches.rs   many watches on one stream
//! own_leases.rs the leases of sessions before, which the next may give back
//! examine.rs   what one server tells of itself
//! messages.rs  etcd's messages; words.rs what its errors mean
//! ```

mod children;
mod examine;
mod joint_ranges;
mod messages;
mod own_leases;
mod session;
#[cfg(test)]
mod tests;
mod tree;
mod watches;
mod words;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use rand::seq::SliceRandom as _;
use rpc_core::amount::{parse_positive_duration, show_duration};
use rpc_core::{BuildContext, Error, Extension, Instance};
use tokio::time::sleep;

use self::own_leases::OwnLeases;
use self::session::{Access, EtcdSession};
use self::tree::EtcdTree;
use crate::backend::{Backend, Demand, Session};
use crate::dubbo::{Layout, RecordForm, TreeSession};
use crate::tls::TlsSettings;
use crate::{Diagnosis, Pace, Registry, RegistryParams, RegistryUrl, supervise};

/// The port of etcd if an address has none.
const DEFAULT_PORT: u16 = 2379;

/// How long what is registered outlives its process, if the address does not say.
const LEASE: Duration = Duration::from_secs(30);

/// What an address may ask for instead: etcd takes nothing shorter, and a day is a mistake.
const LEASES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(3600));

/// How long one server has before another is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);

/// How long it may take to open a session over TLS, which is a few more ways there and back.
const TLS_LIMIT: Duration = Duration::from_secs(2);

/// The registry `etcd://[user:password@]host[:port][,host[:port]…]`, version 3.4 of etcd or newer.
///
/// The port is 2379 unless the address has one. With several servers one of them is used, chosen by
/// chance, and the next if it does not answer. A [token](RegistryParams::token) is the password of the
/// address's user. User and password are ignored if etcd asks for none; a client certificate whose common
/// name is a user takes their place.
///
/// | parameter of the address | meaning | default |
/// | --- | --- | --- |
/// | `tls`, `ca`, `cert`, `key`, `server-name` | TLS, as for all registries: the server is checked against `ca` or what the system trusts; `cert` and `key` are our own | `false` |
/// | `session` | how long what is registered outlives a process that dies, from 2 s to 1 h; etcd may choose longer | `30s` |
/// | `group` | root of the keys, without `/` | `dubbo` |
/// | `register-mode` | `interface`, `instance` or `all`: the levels at which providers are registered | `all` |
/// | `register-consumer` | whether a consumer lists itself under the services that it uses | `true` |
///
/// A lost server is noticed within 10 s, even one that stands still. A list holds up to 100,000
/// entries and 64 MiB.
///
/// ```
/// # fn main() -> Result<(), rpc_core::Error> {
/// let registry = dubhe_registry::connect("etcd://ann:s3cret@10.0.0.1,10.0.0.2?session=10s")?;
/// assert_eq!(registry.address(), "etcd://10.0.0.1,10.0.0.2");
/// # Ok(())
/// # }
/// ```
pub struct Etcd {
    servers: Vec<String>,
    access: Arc<Access>,
    layout: Arc<Layout>,
    leases: Arc<OwnLeases>,
}

impl Extension<dyn Registry> for Etcd {
    const NAME: &'static str = "etcd";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        let url = RegistryUrl::parse(&config.url)?;
        url.expect_keys(&[&Layout::KEYS[..], &TlsSettings::KEYS, &["session"]].concat())?;
        if url.hosts.is_empty() {
            return Err(url.wrong("it needs a server, as in etcd://127.0.0.1:2379"));
        }
        if !url.path.is_empty() {
            let path = url.path.escape_debug();
            let why = format!("etcd:// takes no path, write group={path} for another root");
            return Err(url.wrong(&why));
        }
        let token = config.token.clone().filter(|_| url.password.is_empty());
        url.expect_user_of(token.as_deref())?;
        let password = token.unwrap_or_else(|| url.password.clone());
        if url.user.is_empty() && !url.password.is_empty()
            || !url.user.is_empty() && password.is_empty()
        {
            return Err(url.wrong("a login is user and password: write etcd://USER:PASSWORD@HOST"));
        }
        let layout = Arc::new(Layout::of(&url, &config, RecordForm::Go, DEFAULT_PORT)?);
        let access = Access {
            name: url.to_string(),
            lease: lease(&url)?,
            root: layout.root.to_string(),
            tls: TlsSettings::of(&url)?,
            user: url.user,
            password,
        };
        let (access, servers) = (Arc::new(access), layout.servers.clone());
        Ok(supervise(Arc::new(Self { servers, access, layout, leases: Arc::default() }), &config))
    }
}

fn lease(url: &RegistryUrl) -> Result<Duration, Error> {
    let Some(text) = url.query.get("session") else {
        return Ok(LEASE);
    };
    let lease = parse_positive_duration(text);
    let lease = lease.map_err(|error| url.wrong(&format!("session: {error}")))?;
    if lease < LEASES.0 || lease > LEASES.1 {
        let (least, most) = (show_duration(LEASES.0), show_duration(LEASES.1));
        let text = text.escape_debug();
        return Err(url.wrong(&format!("session is `{text}`: write {least} to {most}")));
    }
    Ok(lease)
}

#[async_trait]
impl Backend for Etcd {
    fn address(&self) -> String {
        self.access.name.clone()
    }

    fn check(&self, instance: &Instance) -> Result<(), Error> {
        self.layout.check(instance)
    }

    async fn connect(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        let tree = EtcdTree::after(self.open().await?, &self.leases);
        Ok(Arc::new(TreeSession::new(Arc::new(tree), Arc::clone(&self.layout), demand)))
    }

    async fn connect_apart(&self, demand: &Demand) -> Result<Arc<dyn Session>, Error> {
        // Its end leaves the leases of the others.
        let tree = EtcdTree::new(self.open().await?);
        Ok(Arc::new(TreeSession::new(Arc::new(tree), Arc::clone(&self.layout), demand)))
    }

    fn pace(&self) -> Pace {
        let plain = Pace::default();
        match &self.access.tls {
            Some(_) => Pace { connect_timeout: TLS_LIMIT, ..plain },
            None => plain,
        }
    }

    fn has_settings(&self) -> bool {
        true
    }

    fn servers(&self) -> Vec<String> {
        self.servers.clone()
    }

    async fn examine(&self, server: &str) -> Result<Vec<Diagnosis>, Error> {
        examine::examine(&self.access, server).await
    }

    async fn recognize(&self, server: &str) -> Option<Diagnosis> {
        examine::recognize(&self.access, server).await
    }
}

impl Etcd {
    /// A session with whichever server answers first; each has a head start over the next.
    async fn open(&self) -> Result<EtcdSession, Error> {
        let mut servers = self.servers.clone();
        servers.shuffle(&mut rand::rng());
        let mut rest = servers.iter().map(String::as_str);
        let open = |server| EtcdSession::open(&self.access, server);
        let mut attempts: FuturesUnordered<_> = rest.next().map(open).into_iter().collect();
        let mut failure: Option<Error> = None;
        loop {
            tokio::select! {
                Some(outcome) = attempts.next() => match outcome {
                    Ok(session) => return Ok(session),
                    // A refusal says more than that another one does not answer.
                    Err(_) if failure.as_ref().is_some_and(Error::is_refused) => {}
                    Err(error) => failure = Some(error),
                },
                () = sleep(STAGGER), if rest.len() > 0 => {}
                else => break,
            }
            attempts.extend(rest.next().map(open));
        }
        Err(failure.unwrap_or_else(|| Error::unreachable("there is no server to ask")))
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Etcd({})", self.access.name)
    }
}
