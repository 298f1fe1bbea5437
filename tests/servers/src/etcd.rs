//! etcd, alone or as an ensemble.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tempfile::TempDir;

use crate::{CertificateAuthority, CertificateFiles, Process, free_ports, installed};

/// Where Debian has it, and who builds it by hand.
const PLACES: [&str; 2] = ["/usr/bin/etcd", "/usr/local/bin/etcd"];

/// How often it is asked whether it answers, and how long after each other; it is there within a second
/// unless the machine is busy.
const ASKED: (usize, Duration) = (1500, Duration::from_millis(20));

/// A running etcd with data of its own; killed when it is dropped.
#[derive(Debug)]
pub struct EtcdServer {
    port: u16,
    /// Where its page of health is, without TLS.
    health: u16,
    arguments: Vec<String>,
    /// `None` while it is down.
    process: Option<Process>,
    program: PathBuf,
    dir: TempDir,
}

impl EtcdServer {
    /// One server, which answers when this returns; `None` where etcd is not installed.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let [server] = Self::start_ensemble()?;
        Some(server)
    }

    /// The server that the tests of a program share, which ends with the last that holds it.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<EtcdServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(Self::start()?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// One server with TLS, which reads `files` for each connection. With `clients` it lets in only who has a
    /// certificate of that authority.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_secure(
        files: &CertificateFiles,
        clients: Option<&CertificateAuthority>,
    ) -> Option<Self> {
        let file = |path: &Path| path.display().to_string();
        let mut more = vec![("cert-file", file(&files.cert)), ("key-file", file(&files.key))];
        if let Some(authority) = clients {
            more.push(("trusted-ca-file", file(&authority.ca())));
            more.push(("client-cert-auth", "true".to_owned()));
        }
        let [server] = Self::launch_all("https", &more)?;
        Some(server)
    }

    /// `N` servers that are one registry, all of which answer.
    ///
    /// # Panics
    /// They do not start.
    #[must_use]
    pub fn start_ensemble<const N: usize>() -> Option<[Self; N]> {
        Self::launch_all("http", &[])
    }

    fn launch_all<const N: usize>(
        scheme: &str,
        more: &[(&'static str, String)],
    ) -> Option<[Self; N]> {
        let program = installed(&PLACES, "etcd-server")?;
        let (clients, peers, health) = (free_ports::<N>(), free_ports::<N>(), free_ports::<N>());
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let client_url = |port: u16| format!("{scheme}://127.0.0.1:{port}");
        let member = |(i, port): (usize, &u16)| format!("m{i}={}", url(*port));
        let cluster = peers.iter().enumerate().map(member).collect::<Vec<_>>().join(",");
        let mut servers: [Self; N] = std::array::from_fn(|i| {
            let arguments = [
                ("name", format!("m{i}")),
                ("listen-client-urls", client_url(clients[i])),
                ("advertise-client-urls", client_url(clients[i])),
                ("listen-metrics-urls", url(health[i])),
                ("listen-peer-urls", url(peers[i])),
                ("initial-advertise-peer-urls", url(peers[i])),
                ("initial-cluster", cluster.clone()),
                // Elections, and the shortest lease, which follows from this, are quick.
                ("heartbeat-interval", "50".to_owned()),
                ("election-timeout", "500".to_owned()),
            ];
            let arguments = arguments.iter().chain(more);
            let arguments = arguments.map(|(name, value)| format!("--{name}={value}")).collect();
            let dir = tempfile::tempdir().expect("a folder for the data of etcd");
            let (port, health) = (clients[i], health[i]);
            Self { port, health, arguments, process: None, program: program.clone(), dir }
        });
        servers.iter_mut().for_each(Self::run);
        servers.iter_mut().for_each(Self::wait_until_ready);
        Some(servers)
    }

    /// Where clients reach it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on its port and its data, and waits until it answers.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
        self.wait_until_ready();
    }

    /// Removes what it has kept; it must not run. All of an ensemble have to forget together.
    ///
    /// # Panics
    /// It runs, or its data cannot be removed.
    pub fn forget(&mut self) {
        assert!(self.process.is_none(), "it still runs");
        let kept = self.dir.path().join("data");
        if kept.exists() {
            std::fs::remove_dir_all(kept).expect("its data can be removed");
        }
    }

    /// Stops it where it is, as `kill -STOP` does.
    pub fn pause(&self) {
        self.process.as_ref().expect("it runs").pause();
    }

    /// Lets it go on, as `kill -CONT` does.
    pub fn resume(&self) {
        self.process.as_ref().expect("it runs").resume();
    }

    /// Starts it on its port and its data, if it does not run, without waiting for it: one of an
    /// ensemble answers when most of them run.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn run(&mut self) {
        if self.process.is_some() {
            return;
        }
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).arg("--data-dir").arg(self.dir.path().join("data"));
        self.process = Some(Process::start(command, &self.log_file()));
    }

    /// Waits until it has a leader, which its page of health tells.
    ///
    /// # Panics
    /// It ends instead, or takes too long.
    pub fn wait_until_ready(&mut self) {
        let (times, pause) = ASKED;
        for _ in 0..times {
            if self.is_healthy() {
                return;
            }
            if !self.process.as_mut().is_some_and(Process::is_running) {
                break;
            }
            std::thread::sleep(pause);
        }
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        panic!("etcd does not answer on port {}:\n{log}", self.port);
    }

    /// What it writes of itself, as long as it exists.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn is_healthy(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.health))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"GET /health HTTP/1.0\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer.contains("\"health\":\"true\""))
        };
        ask().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_answers_after_a_start_a_kill_and_a_pause() {
        let Some(mut etcd) = EtcdServer::start() else { return };
        etcd.kill();
        assert!(!etcd.is_healthy());
        etcd.restart();
        etcd.pause();
        etcd.resume();
        assert!(etcd.is_healthy());
    }

    #[test]
    fn an_ensemble_lives_on_without_one() {
        let Some([mut first, second, third]) = EtcdServer::start_ensemble() else { return };
        first.kill();
        let (times, pause) = ASKED;
        let is_so = (0..times).any(|_| {
            std::thread::sleep(pause);
            second.is_healthy() && third.is_healthy()
        });
        assert!(is_so, "the others have no leader");
    }

    #[test]
    fn one_with_tls_answers_again_after_a_kill() {
        let authority = CertificateAuthority::new();
        let files = authority.issue("server", Default::default());
        let Some(mut etcd) = EtcdServer::start_secure(&files, Some(&authority)) else { return };
        etcd.restart();
        assert!(etcd.is_healthy());
    }
}
