//! Nacos, of two versions, from its published jars.
//!
//! Nothing of it is installed by a package manager: `cargo xtask nacos` puts the jars together with Maven, which
//! takes a minute and 300 MB the first time, and says where they are in `DUBHE_NACOS`. Without that there is
//! no server, also where `CI` is set: what everybody runs for every change cannot wait for it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use crate::ports::take_port;
use crate::process::Process;

/// The folder with the jars, as `cargo xtask nacos` sets it.
const PREPARED: &str = "DUBHE_NACOS";

/// How often it is asked whether it is ready: longer than a start takes on a machine that has a lot to do.
const READY_TRIES: u32 = 2400;

/// The pause between two of these questions.
const READY_PAUSE: Duration = Duration::from_millis(50);

/// How often a server is started that ends by itself at its start.
const STARTS: u32 = 3;

/// A version that is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NacosVersion {
    /// 2.2.4
    Two,
    /// 3.1.0
    Three,
}

impl NacosVersion {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Two, Self::Three];

    fn folder(self) -> &'static str {
        match self {
            Self::Two => "2",
            Self::Three => "3",
        }
    }

    /// What answers once it is ready.
    fn readiness(self) -> &'static str {
        match self {
            Self::Two => "/nacos/v1/ns/service/list?pageNo=1&pageSize=1",
            Self::Three => "/nacos/v3/admin/core/state/readiness",
        }
    }
}

/// A running server; it ends when it is dropped, or with this process.
#[derive(Debug)]
pub struct Nacos {
    version: NacosVersion,
    prepared: PathBuf,
    port: u16,
    home: TempDir,
    settings: Vec<String>,
    process: Process,
}

impl Nacos {
    /// Starts one with data of its own and waits until it is ready; `None`, told loudly, if none is prepared.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn start(version: NacosVersion) -> Option<Self> {
        Self::start_with(version, &[])
    }

    /// As [`start`](Self::start), with more system properties, such as `nacos.core.auth.enabled=true`.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn start_with(version: NacosVersion, settings: &[&str]) -> Option<Self> {
        let Some(prepared) = std::env::var_os(PREPARED) else {
            eprintln!("!!! NOT TESTED: no Nacos is prepared (run cargo xtask nacos)");
            return None;
        };
        let prepared = PathBuf::from(prepared).join(version.folder());
        let home = TempDir::new().expect("a folder can be made");
        let settings: Vec<_> = settings.iter().map(|setting| format!("-D{setting}")).collect();
        let port = free_port();
        let process = launch(&prepared, home.path(), port, &settings);
        let mut nacos = Self { version, prepared, port, home, settings, process };
        // On a machine that has a lot to do its own database may not answer it in time.
        for _ in 1..STARTS {
            if nacos.becomes_ready() {
                return Some(nacos);
            }
            // A database that was not finished is never opened again.
            nacos.kill();
            nacos.forget();
            nacos.relaunch();
        }
        nacos.wait_ready();
        Some(nacos)
    }

    /// Host and port of one that all tests of this process share, apart by their namespaces; `None`, told
    /// loudly, if none is prepared. One that runs already may be named in `DUBHE_NACOS_2` and `DUBHE_NACOS_3`.
    ///
    /// # Panics
    /// It does not become ready.
    #[must_use]
    pub fn shared(version: NacosVersion) -> Option<String> {
        static SHARED: [OnceLock<Option<Nacos>>; 2] = [OnceLock::new(), OnceLock::new()];
        let named = std::env::var(format!("{PREPARED}_{}", version.folder())).ok();
        named.or_else(|| {
            let shared = SHARED[version as usize].get_or_init(|| Self::start(version));
            shared.as_ref().map(Self::address)
        })
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> NacosVersion {
        self.version
    }

    /// Its host and port, as an address of the registry has them.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it at once.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Removes what it has kept; it must have been killed.
    ///
    /// # Panics
    /// It runs, or its data cannot be removed.
    pub fn forget(&mut self) {
        assert!(!self.process.is_running(), "it still runs");
        let kept = self.home.path().join("data");
        if kept.exists() {
            std::fs::remove_dir_all(kept).expect("its data can be removed");
        }
    }

    /// Starts it again with its data and ports, and waits until it is ready.
    ///
    /// # Panics
    /// It does not become ready.
    pub fn restart(&mut self) {
        self.relaunch();
        for _ in 1..STARTS {
            if self.becomes_ready() {
                return;
            }
            self.relaunch();
        }
        self.wait_ready();
    }

    fn relaunch(&mut self) {
        self.process.kill();
        self.process = launch(&self.prepared, self.home.path(), self.port, &self.settings);
    }

    /// Stops it where it is.
    pub fn pause(&self) {
        self.process.pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.resume();
    }

    /// Makes it ask all of its clients to connect again.
    ///
    /// # Panics
    /// It refuses.
    pub fn reset_clients(&self) {
        let (method, loader) = match self.version {
            NacosVersion::Two => ("GET", "/nacos/v2/core/loader"),
            NacosVersion::Three => ("POST", "/nacos/v3/admin/core/loader"),
        };
        let ask = |method: &str, path: String| {
            let answer = nacos_http(&self.address(), method, &path);
            let found = answer.as_ref().filter(|(status, _)| *status == 200);
            found.unwrap_or_else(|| panic!("{path}: {answer:?}")).1.clone()
        };
        let clients = ask("GET", format!("{loader}/current"));
        let ids: BTreeSet<_> = clients.split('"').filter(|id| id.contains("_127.0.0.1_")).collect();
        assert!(!ids.is_empty(), "{clients}");
        for id in ids {
            ask(method, format!("{loader}/reloadClient?connectionId={id}"));
        }
    }

    /// Has it take all entries of clients off their lists, beside their connections, which stay: the program
    /// around it does so, as no interface of Nacos can.
    ///
    /// # Panics
    /// It does not run.
    pub fn remove_entries(&mut self) {
        self.process.say("remove entries");
    }

    /// Switches the entry at a port of 10.0.0.1 off or on, in a service of the default group, as an operator does in the
    /// console. Of version 2 the program around it does so, as its jars lack what passes that on within a cluster.
    ///
    /// # Panics
    /// It refuses.
    pub fn switch_entry(&mut self, (namespace, service): (&str, &str), port: u16, is_on: bool) {
        if self.version == NacosVersion::Two {
            return self
                .process
                .say(&format!("switch {namespace} {service} 10.0.0.1 {port} {is_on}"));
        }
        let path = format!(
            "/nacos/v3/admin/ns/instance?namespaceId={namespace}&serviceName={service}&ip=10.0.0.1&port={port}\
             &ephemeral=true&enabled={is_on}"
        );
        let answer = nacos_http(&self.address(), "PUT", &path);
        assert!(matches!(answer, Some((200, _))), "{path}: {answer:?}");
    }

    /// How often clients have registered at a service, by its log.
    #[must_use]
    pub fn registrations(&self, service: &str) -> usize {
        let log = self.home.path().join("logs").join("naming-server.log");
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let of_service = format!("name='{service}'");
        let is_one = |line: &&str| line.contains("Client change") && line.contains(&of_service);
        log.lines().filter(is_one).count()
    }

    fn wait_ready(&mut self) {
        assert!(self.becomes_ready(), "Nacos does not start:\n{}", self.log());
    }

    fn becomes_ready(&mut self) -> bool {
        let is_ready = |address: &str, path: &str| {
            nacos_http(address, "GET", path).is_some_and(|(status, _)| status == 200)
        };
        for _ in 0..READY_TRIES {
            if is_ready(&self.address(), self.version.readiness()) {
                return true;
            }
            if !self.process.is_running() {
                return false;
            }
            sleep(READY_PAUSE);
        }
        false
    }

    /// What it writes of itself, as long as it exists.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        log_of(self.home.path())
    }

    /// The last of what it printed.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// Status and body of an HTTP request without body to the server at `address`, as its tools make them; `None` if
/// it is not answered.
#[must_use]
pub fn nacos_http(address: &str, method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    // HTTP/1.0, so that the body ends with the connection.
    let request =
        format!("{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split_whitespace().nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, body.to_owned()))
}

fn log_of(home: &Path) -> PathBuf {
    home.join("output.log")
}

fn launch(prepared: &Path, home: &Path, port: u16, settings: &[String]) -> Process {
    let class_path = std::fs::read_to_string(prepared.join("classpath"));
    let class_path = class_path.unwrap_or_else(|error| {
        panic!("{} is not prepared (run cargo xtask nacos): {error}", prepared.display())
    });
    let mut command = Command::new("java");
    for package in ["io", "lang", "util"] {
        command.arg("--add-opens").arg(format!("java.base/java.{package}=ALL-UNNAMED"));
    }
    // It lives for seconds: what compiles longer to run faster does not pay.
    command.args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.args(["-Dnacos.standalone=true", "-Dnacos.server.ip=127.0.0.1"]);
    command.args(["-Dserver.address=127.0.0.1"]);
    command.arg(format!("-Dserver.port={port}")).arg(format!("-Dnacos.server.main.port={port}"));
    command.arg(format!("-Dnacos.home={}", home.display()));
    command.arg(format!("-Duser.home={}", home.display()));
    command.arg(format!("-Dnacos.logs.path={}", home.join("logs").display()));
    command.args(settings).arg("-cp");
    command.arg(format!("{}:{}", prepared.join("classes").display(), class_path.trim()));
    command.arg("dubhe.tests.Main").current_dir(home);
    Process::start_tied(command, &log_of(home))
}

/// A port that is free together with those that Nacos takes beside it.
fn free_port() -> u16 {
    loop {
        let [port] = crate::free_ports();
        let beside = [port.checked_add(1000), port.checked_add(1001), port.checked_sub(1000)];
        if beside.into_iter().all(|port| port.is_some_and(take_port)) {
            return port;
        }
    }
}
