//! Registry servers in processes of their own: the test program once more, down to the one test that
//! becomes the server. They can be killed and stopped as real ones are.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dubhe_registry::RegistryParams;
use dubhe_registry::embedded::{EmbeddedServer, RegistryServerConfig};

/// Set in the inner process: `ADDRESS LEASE_MS DIR`.
const ORDERS: &str = "DUBHE_TEST_BECOMES_A_SERVER";

/// A registry server with a data folder in a process of its own; killed when dropped.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl ServerProcess {
    /// Starts one at `address`, whose leases last `lease` and are renewed at a third of that.
    pub(crate) async fn start(address: &str, lease: Duration, dir: &Path) -> Self {
        let orders = format!("{address} {} {}", lease.as_millis(), dir.display());
        let starting = move || {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "becomes_a_server", "--nocapture", "--test-threads=1"]);
            command.env(ORDERS, orders);
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let mut lines = lines.map_while(Result::ok);
            let address = lines.find_map(|line| Some(line.strip_prefix("listening ")?.to_owned()));
            let address = address.expect("the server says where it listens").parse().unwrap();
            Self { child, address }
        };
        tokio::task::spawn_blocking(starting).await.unwrap()
    }

    /// How its clients reach it.
    pub(crate) fn config(&self) -> RegistryParams {
        RegistryParams::new(format!("dubhe://{}", self.address))
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal such as `STOP`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the inner process: serves until it is killed. Elsewhere: nothing.
pub(crate) fn become_server() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    // Its end closes with the test, however that goes, and the process must not outlive it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    let mut orders = orders.splitn(3, ' ');
    let (address, lease) = (orders.next().unwrap(), orders.next().unwrap().parse().unwrap());
    let lease = Duration::from_millis(lease);
    let config = RegistryServerConfig {
        lease,
        renew: lease / 3,
        push_gap: Duration::from_millis(5),
        ..RegistryServerConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = EmbeddedServer::builder().config(config).data_dir(orders.next().unwrap());
        let server = server.listen(address).start().await.unwrap();
        eprintln!("listening {}", server.local_addr());
        std::future::pending::<()>().await;
    });
}
