//! ZooKeeper servers, one alone or an ensemble, on their own data and ports.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::{CertificateAuthority, CertificateFiles, Process, free_ports, installed};

/// How often a server that starts is asked whether it is ready,
const ASKED: u32 = 3000;

/// with these pauses: a minute, which is more than it takes on a machine that is busy.
const PAUSE: Duration = Duration::from_millis(20);

/// The clock of a server that nobody asked for another: sessions last from 0.4 to 4 s.
const TICK_MS: u32 = 200;

/// As much memory as a server of tests needs.
const HEAP_MIB: u32 = 128;

/// As much as one with very long lists needs.
const LARGE_HEAP_MIB: u32 = 1024;

/// One server.
#[derive(Debug)]
pub struct ZooKeeperServer {
    address: SocketAddr,
    /// Where it speaks TLS.
    secure: Option<SocketAddr>,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
    process: Option<Process>,
    /// The most memory of its objects.
    heap_mib: u32,
    /// The folder of an ensemble belongs to the ensemble.
    _dir: Option<TempDir>,
}

/// Three servers that are one, or one alone.
#[derive(Debug)]
pub struct ZooKeeperEnsemble {
    /// The servers; as long as most of them run, so does the ensemble.
    pub servers: Vec<ZooKeeperServer>,
    _dir: Option<TempDir>,
}

impl ZooKeeperServer {
    /// Starts a server that stands alone and waits until it serves; `None` if ZooKeeper is not
    /// installed.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::with("")
    }

    /// A server that the tests of a program share while any of them runs; each keeps to a path of its
    /// own. `None` if ZooKeeper is not installed.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<ZooKeeperServer>> = Mutex::new(Weak::new());
        // Whoever failed while it started the server has left nothing here.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// As [`start`](Self::start), with memory for some 100,000 nodes, and sessions that outlast the pauses of a server
    /// that has much to do.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_large() -> Option<Self> {
        Self::of("maxSessionTimeout=40000\n", LARGE_HEAP_MIB)
    }

    /// As [`start`](Self::start), with further lines of its configuration.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn with(lines: &str) -> Option<Self> {
        Self::of(lines, HEAP_MIB)
    }

    fn of(lines: &str, heap_mib: u32) -> Option<Self> {
        jar()?;
        let dir = TempDir::new().expect("a folder for its data");
        let [port] = free_ports();
        let mut server = Self::new(dir.path(), port, lines);
        (server.heap_mib, server._dir) = (heap_mib, Some(dir));
        server.run();
        server.wait_until_ready();
        Some(server)
    }

    /// As [`start`](Self::start), of a server that speaks TLS at a port of its own, besides. It reads `files` as
    /// it starts. With `clients` it lets in there only who has a certificate of that authority.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_secure(
        files: &CertificateFiles,
        clients: Option<&CertificateAuthority>,
    ) -> Option<Self> {
        let [port] = free_ports();
        let mut lines = format!(
            // Its first handshakes are slow, and no session shall end for that.
            "maxSessionTimeout=20000\nserverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
             secureClientPort={port}\nsecureClientPortAddress=127.0.0.1\n\
             ssl.keyStore.location={}\nssl.keyStore.type=PEM\nssl.clientAuth={}\n",
            files.together().display(),
            if clients.is_some() { "need" } else { "none" },
        );
        if let Some(authority) = clients {
            let ca = authority.ca();
            let _ = writeln!(
                lines,
                "ssl.trustStore.type=PEM\nssl.trustStore.location={}",
                ca.display()
            );
        }
        let mut server = Self::with(&lines)?;
        server.secure = Some(SocketAddr::from(([127, 0, 0, 1], port)));
        server.wait_until_ready();
        Some(server)
    }

    /// A server whose files are in `dir` and which does not run yet.
    fn new(dir: &Path, port: u16, lines: &str) -> Self {
        let data = dir.join("data");
        std::fs::create_dir_all(&data).expect("a folder for its data");
        let config = dir.join("zoo.cfg");
        let text = format!(
            "tickTime={TICK_MS}\ninitLimit=50\nsyncLimit=10\ndataDir={}\nclientPort={port}\n\
             clientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=*\n\
             maxClientCnxns=0\n{lines}\n",
            data.display()
        );
        std::fs::write(&config, text).expect("its configuration can be written");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let log = dir.join("log");
        Self {
            address,
            secure: None,
            config,
            data,
            log,
            process: None,
            heap_mib: HEAP_MIB,
            _dir: None,
        }
    }

    /// Where it serves.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it serves over TLS.
    ///
    /// # Panics
    /// It was started without.
    #[must_use]
    pub fn secure_address(&self) -> SocketAddr {
        self.secure.expect("it was started with TLS")
    }

    /// Starts it on the data that it has, if it does not run, without waiting for it.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn run(&mut self) {
        if self.process.is_some() {
            return;
        }
        let mut java = Command::new("java");
        java.arg(format!("-Xmx{}m", self.heap_mib));
        java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
        // What it has written survives its own end, if not that of the machine.
        java.args(["-Dzookeeper.forceSync=no", "-cp"]);
        java.arg(class_path(&jar().expect("it was there when this was made")));
        java.arg("org.apache.zookeeper.server.quorum.QuorumPeerMain").arg(&self.config);
        self.process = Some(Process::start(java, &self.log));
    }

    /// Waits until it serves.
    ///
    /// # Panics
    /// It ends instead, or takes too long.
    pub fn wait_until_ready(&mut self) {
        for _ in 0..ASKED {
            if self.is_ready() {
                return;
            }
            let is_running = self.process.as_mut().is_some_and(Process::is_running);
            assert!(is_running, "ZooKeeper ended:\n{}", self.last_words());
            thread::sleep(PAUSE);
        }
        panic!("ZooKeeper does not get ready:\n{}", self.last_words());
    }

    /// Kills it, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Removes what it has kept; it must not run.
    ///
    /// # Panics
    /// It runs, or its data cannot be removed.
    pub fn forget(&mut self) {
        assert!(self.process.is_none(), "it still runs");
        let kept = self.data.join("version-2");
        if kept.exists() {
            std::fs::remove_dir_all(kept).expect("its data can be removed");
        }
    }

    /// Stops it where it is, as `kill -STOP` does.
    ///
    /// # Panics
    /// It does not run.
    pub fn pause(&self) {
        self.process.as_ref().expect("it runs").pause();
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// It does not run.
    pub fn resume(&self) {
        self.process.as_ref().expect("it runs").resume();
    }

    /// What it answers to a command of four letters, such as `ruok`; empty if nothing.
    #[must_use]
    pub fn ask(&self, command: &str) -> String {
        let ask = || {
            let mut stream = TcpStream::connect(self.address)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(command.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            std::io::Result::Ok(answer)
        };
        ask().unwrap_or_default()
    }

    /// Whether it serves, alone or with the others, and over TLS if it is to.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        // It listens there last, and says nothing of it.
        let is_open = |at: SocketAddr| TcpStream::connect(at).is_ok();
        self.ask("srvr").contains("Mode: ") && self.secure.is_none_or(is_open)
    }

    /// Whether it leads its ensemble.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.ask("srvr").contains("Mode: leader")
    }

    /// What it writes of itself, as long as it exists.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.log.clone()
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(20).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl ZooKeeperEnsemble {
    /// Starts three servers and waits until they serve as one; `None` if ZooKeeper is not installed.
    ///
    /// # Panics
    /// They do not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        jar()?;
        let dir = TempDir::new().expect("a folder for their data");
        let ports: [u16; 9] = free_ports();
        let mut lines = String::new();
        for (i, ports) in ports.chunks(3).enumerate() {
            let _ = writeln!(lines, "server.{}=127.0.0.1:{}:{}", i + 1, ports[1], ports[2]);
        }
        let mut servers: Vec<_> = (1..)
            .zip(ports.chunks(3))
            .map(|(id, ports)| {
                let server =
                    ZooKeeperServer::new(&dir.path().join(id.to_string()), ports[0], &lines);
                let id_file = server.data.join("myid");
                std::fs::write(id_file, id.to_string()).expect("its id can be written");
                server
            })
            .collect();
        servers.iter_mut().for_each(ZooKeeperServer::run);
        servers.iter_mut().for_each(ZooKeeperServer::wait_until_ready);
        Some(Self { servers, _dir: Some(dir) })
    }

    /// Where it serves, comma-separated.
    #[must_use]
    pub fn addresses(&self) -> String {
        let addresses = self.servers.iter().map(|server| server.address().to_string());
        addresses.collect::<Vec<_>>().join(",")
    }
}

/// The program, and parts of Netty that its manifest forgets, for servers with TLS.
fn class_path(jar: &Path) -> String {
    let netty = ["codec", "resolver", "transport-native-unix-common"];
    let netty = netty.iter().map(|part| jar.with_file_name(format!("netty-{part}.jar")));
    let all = std::iter::once(jar.to_owned()).chain(netty);
    all.map(|path| path.display().to_string()).collect::<Vec<_>>().join(":")
}

impl From<ZooKeeperServer> for ZooKeeperEnsemble {
    fn from(server: ZooKeeperServer) -> Self {
        Self { servers: vec![server], _dir: None }
    }
}

/// The program, whose manifest names what else it needs.
fn jar() -> Option<PathBuf> {
    installed(&["/usr/share/java/zookeeper.jar"], "zookeeper")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ZooKeeperHand;

    #[test]
    fn a_server_serves_on_its_own_data_until_it_is_killed() {
        let Some(mut server) = ZooKeeperServer::start() else { return };
        assert_eq!(server.ask("ruok"), "imok");
        server.kill();
        assert!(!server.is_ready());
        server.run();
        server.wait_until_ready();
        server.kill();
        server.forget();
    }

    #[test]
    fn a_server_with_tls_says_hello_at_a_port_of_its_own() {
        let authority = CertificateAuthority::new();
        let files = authority.issue("server", Default::default());
        let server = ZooKeeperServer::start_secure(&files, Some(&authority));
        let Some(server) = server else { return };
        assert_eq!(server.ask("ruok"), "imok");
        let mut stream = TcpStream::connect(server.secure_address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.write_all(b"this is no TLS, and long enough to be seen as none\r\n").unwrap();
        // It says so, or hangs up.
        let _ = stream.read(&mut [0; 1]).unwrap();
    }

    #[test]
    fn an_ensemble_lives_on_without_its_leader_and_takes_it_back() {
        let Some(mut ensemble) = ZooKeeperEnsemble::start() else { return };
        let leader = ensemble.servers.iter().position(ZooKeeperServer::is_leader).unwrap();
        ensemble.servers[leader].kill();
        // They answer until they have noticed that it is gone.
        let leads = (0..ASKED).any(|_| {
            thread::sleep(PAUSE);
            ensemble.servers.iter().any(ZooKeeperServer::is_leader)
        });
        assert!(leads);
        for (_, other) in ensemble.servers.iter_mut().enumerate().filter(|(i, _)| *i != leader) {
            other.wait_until_ready();
        }
        let other = ensemble.servers[(leader + 1) % 3].address();
        ZooKeeperHand::open(other).unwrap().put("/kept", b"x").unwrap();
        let back = &mut ensemble.servers[leader];
        back.run();
        back.wait_until_ready();
        let seen = ZooKeeperHand::open(back.address()).unwrap().children("/").unwrap();
        assert!(seen.contains(&"kept".to_owned()), "{seen:?}");
    }

    #[test]
    fn nodes_are_written_and_removed_by_hand() {
        let Some(server) = ZooKeeperServer::start() else { return };
        let mut hand = ZooKeeperHand::open(server.address()).unwrap();
        hand.put("/a/b/c", b"1").unwrap();
        hand.put("/a/b/c", b"2").unwrap();
        hand.put("/a/b/d", b"").unwrap();
        let mut children = hand.children("/a/b").unwrap();
        children.sort();
        assert_eq!(children, ["c", "d"]);
        assert!(hand.put("/a/./x", b"").is_err());
        hand.remove("/a").unwrap();
        assert_eq!(hand.children("/a/b").unwrap(), [""; 0]);
    }
}
