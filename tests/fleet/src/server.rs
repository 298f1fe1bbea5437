//! The registries: which there are, who of the fleet can use them, and how they are killed.

use servers::{EtcdServer, Nacos, NacosVersion, ZooKeeperServer};
use tokio::task::block_in_place;

use crate::BoxError;
use crate::world::Language;

/// A registry that fleets share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    ZooKeeper,
    Etcd,
    Nacos2,
    Nacos3,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::ZooKeeper, Self::Etcd, Self::Nacos3, Self::Nacos2];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ZooKeeper => "zookeeper",
            Self::Etcd => "etcd",
            Self::Nacos2 => "nacos-2",
            Self::Nacos3 => "nacos-3",
        }
    }

    /// Whether programs of this language can use it: Dubbo for Java has no etcd any more.
    pub(crate) fn is_known_to(self, language: Language) -> bool {
        self != Self::Etcd || language != Language::Java
    }

    fn scheme(self, language: Language) -> &'static str {
        match self {
            Self::ZooKeeper => "zookeeper",
            Self::Etcd if language == Language::Go => "etcdv3",
            Self::Etcd => "etcd",
            Self::Nacos2 | Self::Nacos3 => "nacos",
        }
    }
}

/// A running registry; ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    running: Running,
}

#[derive(Debug)]
enum Running {
    ZooKeeper(ZooKeeperServer),
    Etcd(EtcdServer),
    Nacos(Box<Nacos>),
}

impl Server {
    /// Starts one with data of its own.
    pub(crate) fn start(kind: Kind) -> Result<Self, BoxError> {
        let running = block_in_place(|| match kind {
            Kind::ZooKeeper => ZooKeeperServer::start().map(Running::ZooKeeper),
            Kind::Etcd => EtcdServer::start().map(Running::Etcd),
            Kind::Nacos2 => nacos(NacosVersion::Two),
            Kind::Nacos3 => nacos(NacosVersion::Three),
        });
        let missing = || format!("{} is not installed or not prepared", kind.name());
        Ok(Self { kind, running: running.ok_or_else(missing)? })
    }

    /// Its address, as programs of this language write it.
    pub(crate) fn url(&self, language: Language) -> String {
        let address = match &self.running {
            Running::ZooKeeper(server) => server.address().to_string(),
            Running::Etcd(server) => server.address(),
            Running::Nacos(server) => server.address(),
        };
        format!("{}://{address}", self.kind.scheme(language))
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        match &mut self.running {
            Running::ZooKeeper(server) => server.kill(),
            Running::Etcd(server) => server.kill(),
            Running::Nacos(server) => server.kill(),
        }
    }

    /// Starts it again with its data, and waits until it serves.
    pub(crate) fn restart(&mut self) {
        block_in_place(|| match &mut self.running {
            Running::ZooKeeper(server) => {
                server.run();
                server.wait_until_ready();
            }
            Running::Etcd(server) => server.restart(),
            Running::Nacos(server) => server.restart(),
        });
    }
}

fn nacos(version: NacosVersion) -> Option<Running> {
    Nacos::start(version).map(|server| Running::Nacos(Box::new(server)))
}
