//! The servers that are not ours, with what can be done to any of them. Everything here blocks: a server
//! takes seconds to come up.

use std::path::PathBuf;

use servers::{EtcdServer, Nacos, NacosVersion, ZooKeeperEnsemble, ZooKeeperServer};

use super::kind::Kind;

/// Nacos 2.2.4 says nothing to a client that says nothing, and so never hears that it has gone, unless it is told
/// to ask: after so many milliseconds.
const ASKS: [&str; 1] = ["nacos.remote.server.grpc.sdk.keep-alive-time=10000"];

/// Running servers that are one registry.
#[derive(Debug)]
pub(super) enum Theirs {
    ZooKeeper(ZooKeeperEnsemble),
    Etcd(Vec<EtcdServer>),
    Nacos(Nacos),
}

impl Theirs {
    /// Starts what `kind` names; `None`, told loudly, if that is not installed.
    pub(super) fn start(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Embedded => None,
            Kind::ZooKeeper => {
                ZooKeeperServer::start().map(|server| Self::ZooKeeper(server.into()))
            }
            Kind::ZooKeeper3 => ZooKeeperEnsemble::start().map(Self::ZooKeeper),
            Kind::Etcd => EtcdServer::start().map(|server| Self::Etcd(vec![server])),
            Kind::Etcd3 => {
                EtcdServer::start_ensemble::<3>().map(|servers| Self::Etcd(servers.into()))
            }
            Kind::Nacos3 => Nacos::start(NacosVersion::Three).map(Self::Nacos),
            Kind::Nacos2 => Nacos::start_with(NacosVersion::Two, &ASKS).map(Self::Nacos),
        }
    }

    /// Where clients reach it.
    pub(super) fn url(&self) -> String {
        match self {
            Self::ZooKeeper(ensemble) => format!("zookeeper://{}", ensemble.addresses()),
            Self::Etcd(servers) => {
                let addresses: Vec<_> = servers.iter().map(EtcdServer::address).collect();
                format!("etcd://{}?session=6s", addresses.join(","))
            }
            Self::Nacos(nacos) => format!("nacos://{}", nacos.address()),
        }
    }

    /// Kills all of it, as `kill -9` does.
    pub(super) fn kill(&mut self) {
        match self {
            Self::ZooKeeper(ensemble) => {
                ensemble.servers.iter_mut().for_each(ZooKeeperServer::kill);
            }
            Self::Etcd(servers) => servers.iter_mut().for_each(EtcdServer::kill),
            Self::Nacos(nacos) => nacos.kill(),
        }
    }

    /// Kills one of several, the one that leads if that is known, until all are revived.
    pub(super) fn kill_one(&mut self) {
        match self {
            Self::ZooKeeper(ensemble) => {
                let leader = ensemble.servers.iter_mut().find(|server| server.is_leader());
                leader.into_iter().for_each(ZooKeeperServer::kill);
            }
            Self::Etcd(servers) => servers.iter_mut().take(1).for_each(EtcdServer::kill),
            Self::Nacos(nacos) => nacos.kill(),
        }
    }

    /// Starts what does not run, on the data that is left, and waits until all serve.
    pub(super) fn revive(&mut self) {
        match self {
            Self::ZooKeeper(ensemble) => {
                ensemble.servers.iter_mut().for_each(ZooKeeperServer::run);
                ensemble.servers.iter_mut().for_each(ZooKeeperServer::wait_until_ready);
            }
            Self::Etcd(servers) => {
                servers.iter_mut().for_each(EtcdServer::run);
                servers.iter_mut().for_each(EtcdServer::wait_until_ready);
            }
            Self::Nacos(nacos) => nacos.restart(),
        }
    }

    /// Removes all that it has kept; it must have been killed.
    pub(super) fn forget(&mut self) {
        match self {
            Self::ZooKeeper(ensemble) => {
                ensemble.servers.iter_mut().for_each(ZooKeeperServer::forget);
            }
            Self::Etcd(servers) => servers.iter_mut().for_each(EtcdServer::forget),
            Self::Nacos(nacos) => nacos.forget(),
        }
    }

    /// SIGSTOP to all of it.
    pub(super) fn stop(&self) {
        match self {
            Self::ZooKeeper(ensemble) => ensemble.servers.iter().for_each(ZooKeeperServer::pause),
            Self::Etcd(servers) => servers.iter().for_each(EtcdServer::pause),
            Self::Nacos(nacos) => nacos.pause(),
        }
    }

    /// SIGCONT to all of it.
    pub(super) fn resume(&self) {
        match self {
            Self::ZooKeeper(ensemble) => ensemble.servers.iter().for_each(ZooKeeperServer::resume),
            Self::Etcd(servers) => servers.iter().for_each(EtcdServer::resume),
            Self::Nacos(nacos) => nacos.resume(),
        }
    }

    /// What its servers have written of themselves.
    pub(super) fn logs(&self) -> Vec<PathBuf> {
        match self {
            Self::ZooKeeper(ensemble) => {
                ensemble.servers.iter().map(ZooKeeperServer::log_file).collect()
            }
            Self::Etcd(servers) => servers.iter().map(EtcdServer::log_file).collect(),
            Self::Nacos(nacos) => vec![nacos.log_file()],
        }
    }

    /// Removes what clients hold while they are connected, where nobody but the server itself can.
    pub(super) fn remove_entries(&mut self) {
        if let Self::Nacos(nacos) = self {
            nacos.remove_entries();
        }
    }
}
