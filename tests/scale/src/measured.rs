//! The registry that is measured: the embedded one unless another is named, or a real server.

use servers::{EtcdServer, Nacos, NacosVersion, ZooKeeperServer, nacos_http};

use crate::BoxError;
use crate::role::Role;

/// What is measured; a server that was started ends with it.
pub(crate) enum Measured {
    Embedded(Role),
    ZooKeeper {
        _server: ZooKeeperServer,
    },
    Etcd {
        _server: EtcdServer,
    },
    Nacos {
        server: Nacos,
    },
    /// One that runs already.
    Running,
}

impl Measured {
    /// What `name` stands for: the name of a server to start, or a URL; and its URL.
    pub(crate) async fn start(name: Option<&str>) -> Result<(Self, String), BoxError> {
        match name {
            None => {
                let mut server = Role::start("as-server", None)?;
                let url = server.answer().await?;
                Ok((Self::Embedded(server), url))
            }
            Some("zookeeper") => {
                let server = ZooKeeperServer::start_large().ok_or("no ZooKeeper is installed")?;
                let url = format!("zookeeper://{}", server.address());
                Ok((Self::ZooKeeper { _server: server }, url))
            }
            Some("etcd") => {
                let server = EtcdServer::start().ok_or("no etcd is installed")?;
                let url = format!("etcd://{}", server.address());
                Ok((Self::Etcd { _server: server }, url))
            }
            Some("nacos") => {
                let counts = ["management.endpoints.web.exposure.include=prometheus"];
                let server = Nacos::start_with(NacosVersion::Three, &counts);
                let server = server.ok_or("run `cargo xtask nacos` first")?;
                let url = format!("nacos://{}", server.address());
                Ok((Self::Nacos { server }, url))
            }
            Some(url) => Ok((Self::Running, url.to_owned())),
        }
    }

    /// How many requests it has answered; `None` unless it is Nacos, which counts them.
    pub(crate) fn requests(&self) -> Option<f64> {
        let Self::Nacos { server } = self else { return None };
        let (_, page) = nacos_http(&server.address(), "GET", "/nacos/actuator/prometheus")?;
        let counts =
            page.lines().filter(|line| line.starts_with("grpc_server_requests_seconds_count"));
        counts.map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    /// The CPU time in milliseconds that it has used; `None` unless it is the embedded one.
    pub(crate) async fn cpu(&mut self) -> Result<Option<f64>, BoxError> {
        match self {
            Self::Embedded(server) => Ok(Some(server.ask("cpu").await?.parse()?)),
            _ => Ok(None),
        }
    }
}
