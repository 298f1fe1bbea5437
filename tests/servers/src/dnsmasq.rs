//! A name server with records of its own: dnsmasq, on a free port of loopback.

#![allow(clippy::disallowed_types, reason = "a server takes real time, there is no tokio here")]

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::ports::free_ports;
use crate::process::{Process, installed};

/// How long it may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// How often it may find its port taken.
const TRIES: usize = 5;

/// A running name server. It knows everything of `.test`, and refuses to say anything of other names
/// that it has no address of.
#[derive(Debug)]
pub struct Dnsmasq {
    program: PathBuf,
    folder: TempDir,
    port: u16,
    process: Process,
}

impl Dnsmasq {
    /// Starts one that has the lines of `config`, such as `srv-host=_x._tcp.shop.test,a.shop.test,20880`;
    /// `None` if it is not installed.
    ///
    /// # Panics
    /// It is not installed and `CI` is set, or it does not start.
    #[must_use]
    pub fn start(config: &str) -> Option<Self> {
        let program = installed(&["/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq"], "dnsmasq-base")?;
        let mut folder = tempfile::tempdir().expect("a folder for its files");
        write(&folder.path().join("hosts"), "");
        for _ in 0..TRIES {
            let [port] = free_ports();
            configure(&folder, port, config);
            let process = run(&program, &folder);
            let mut server = Self { program: program.clone(), folder, port, process };
            if server.answers() {
                return Some(server);
            }
            folder = server.folder;
        }
        panic!("dnsmasq does not start: {}", read(&folder.path().join("log")));
    }

    /// Where it listens, by UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Replaces the addresses of all names, while it runs.
    ///
    /// # Panics
    /// The file cannot be written, or the server is not there.
    pub fn set(&self, hosts: &[(&str, &str)]) {
        let mut lines = String::new();
        for (address, name) in hosts {
            let _ = writeln!(lines, "{address} {name}");
        }
        write(&self.folder.path().join("hosts"), &lines);
        self.process.reload();
    }

    /// Starts it again, if need be after ending it, on the same port with other lines of configuration.
    ///
    /// # Panics
    /// It does not start.
    pub fn restart(&mut self, config: &str) {
        self.process.kill();
        configure(&self.folder, self.port, config);
        self.process = run(&self.program, &self.folder);
        assert!(self.answers(), "dnsmasq does not start: {}", self.log());
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// How often it was asked for records of this kind, such as `A`, of a name.
    #[must_use]
    pub fn questions(&self, kind: &str, name: &str) -> usize {
        self.log().matches(&format!("query[{kind}] {name} from")).count()
    }

    fn log(&self) -> String {
        read(&self.folder.path().join("log"))
    }

    /// Waits until it takes connections; false if it ends instead, or does not in time.
    fn answers(&mut self) -> bool {
        let begin = Instant::now();
        while begin.elapsed() < LIMIT && self.process.is_running() {
            if TcpStream::connect(self.address()).is_ok() {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

fn configure(folder: &TempDir, port: u16, config: &str) {
    let hosts = folder.path().join("hosts");
    let hosts = hosts.display();
    let own = format!(
        "port={port}\nlisten-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\nno-poll\n\
         addn-hosts={hosts}\nlocal=/test/\nlog-queries\npid-file=\n"
    );
    write(&folder.path().join("conf"), &format!("{own}{config}\n"));
}

fn run(program: &Path, folder: &TempDir) -> Process {
    let mut command = Command::new(program);
    command.arg("--no-daemon").arg(format!("--conf-file={}", folder.path().join("conf").display()));
    Process::start(command, &folder.path().join("log"))
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
