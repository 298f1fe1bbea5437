//! Providers and registries in processes of their own: the test program once more, down to one test
//! that becomes the other process.
//!
//! Each test file that starts one has a test `becomes_a_provider` that calls [`become_provider`].
//! What the processes say to each other are lines on the child's standard error.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dubhe::Provider;
use dubhe::embedded::{EmbeddedServer, RegistryServerConfig};
use tokio::time::Instant;

use super::shop::{Clerk, ShopServer};

/// Set in the inner process: the name of the provider.
const NAME: &str = "TEST_BECOMES_A_PROVIDER";
const LEDGER: &str = "TEST_LEDGER";
/// Milliseconds that the provider takes longer than it is asked to.
pub const DELAY: &str = "TEST_DELAY_MS";
const BROKEN: &str = "TEST_BROKEN";
const SLOW: &str = "TEST_SLOW";
/// Set in the inner process that becomes a registry: `PORT TOKEN`.
const REGISTRY: &str = "TEST_BECOMES_A_REGISTRY";

/// A provider in a process of its own.
pub type ProviderProcess = Process;

/// A process of a test; killed when it is dropped.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    address: String,
}

/// How to start one.
pub struct ProviderCommand {
    name: String,
    settings: Vec<(String, String)>,
    ledger: Option<String>,
    shell: Option<String>,
}

impl ProviderCommand {
    /// A provider of the shop `name` at `registry`.
    pub fn new(name: &str, registry: &str) -> Self {
        let command =
            Self { name: name.to_owned(), settings: Vec::new(), ledger: None, shell: None };
        command
            .set("DUBHE_CONFIG", "")
            .set("DUBHE_REGISTRY__ADDRESS", registry)
            .set("DUBHE_REGISTRY__CACHE", "false")
            .set("DUBHE_PROVIDER__PORT", "0")
            .set("DUBHE_PROVIDER__NOTICE", "300ms")
            .set("DUBHE_PROVIDER__DRAIN_TIMEOUT", "5s")
    }

    /// With this variable in its environment.
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// That notes every execution at `path`.
    pub fn ledger(mut self, path: &Path) -> Self {
        self.ledger = Some(path.to_str().unwrap().to_owned());
        self
    }

    /// That fails every call with `unavailable` while there is a file at `path`.
    pub fn broken_while(self, path: &Path) -> Self {
        self.set(BROKEN, path.to_str().unwrap())
    }

    /// That takes longer for every call while there is a file at `path`.
    pub fn slow_while(self, path: &Path) -> Self {
        self.set(SLOW, path.to_str().unwrap())
    }

    /// Started by a shell that runs this first, such as `ulimit -n 64`.
    pub fn after(self, shell: &str) -> Self {
        self.by_shell(&format!("{shell}; exec"))
    }

    /// Run by this command, such as `timeout 60`.
    pub fn under(self, command: &str) -> Self {
        self.by_shell(&format!("exec {command}"))
    }

    fn by_shell(mut self, shell: &str) -> Self {
        self.shell = Some(shell.to_owned());
        self
    }

    /// Starts it and waits until it serves and is registered.
    pub async fn start(self) -> ProviderProcess {
        let program = std::env::current_exe().unwrap();
        let mut command = match &self.shell {
            None => Command::new(program),
            Some(first) => {
                let mut shell = Command::new("sh");
                shell.arg("-c").arg(format!("{first} \"$0\" \"$@\"")).arg(program);
                shell
            }
        };
        command.env(NAME, &self.name).envs(self.settings);
        command.envs(self.ledger.map(|path| (LEDGER, path)));
        Process::start(command).await
    }
}

impl Process {
    /// A registry server on `port` (0: any) that lets in who shows `token` (empty: everybody).
    pub async fn registry(port: u16, token: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(REGISTRY, format!("{port} {token}"));
        Self::start(command).await
    }

    /// Starts the test program by `command` and waits until it says where it serves.
    async fn start(mut command: Command) -> Self {
        for (name, _) in std::env::vars_os() {
            let is_set = command.get_envs().any(|(set, _)| set == name);
            if name.to_string_lossy().starts_with("DUBHE_") && !is_set {
                command.env_remove(name);
            }
        }
        command.args(["--exact", "becomes_a_provider", "--nocapture", "--test-threads=1"]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stderr, heard) = (child.stderr.take().unwrap(), lines.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        let mut process = Self { child, lines, address: String::new() };
        process.address = process.said("serving ").await;
        process
    }

    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until it has said a line that begins with `start`; returns the rest of the line.
    pub async fn said(&self, start: &str) -> String {
        let what = format!("the process says `{start}`");
        super::until(&what, async || {
            let lines = self.lines.lock().unwrap();
            lines.iter().find_map(|line| Some(line.strip_prefix(start)?.to_owned()))
        })
        .await
    }

    /// SIGKILL: no goodbye.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM: please.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// SIGSTOP: it hangs, its connections stay open. Returns when every thread of it does: on a busy
    /// machine one may run on for a while.
    pub fn suspend(&self) {
        self.signal("STOP");
        let begun = Instant::now();
        while !self.stands_still() {
            assert!(begun.elapsed() < super::PATIENCE, "it runs on after SIGSTOP");
            std::thread::yield_now();
        }
    }

    /// Whether all threads are stopped; true where the system does not tell.
    fn stands_still(&self) -> bool {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else {
            return true;
        };
        let stats =
            threads.flatten().map(|thread| std::fs::read_to_string(thread.path().join("stat")));
        // The state follows the name, which ends with the last parenthesis.
        let is_stopped = |stat: &str| stat.rsplit(") ").next().is_some_and(|s| s.starts_with('T'));
        stats.flatten().all(|stat| is_stopped(&stat))
    }

    /// SIGCONT: it goes on where it stood.
    pub fn resume(&self) {
        self.signal("CONT");
    }

    /// Its number; that of the shell's command, if it was started after one.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends this signal, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = &mut self.child;
        super::until("the process ends", async || child.try_wait().unwrap()).await
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In the inner process: provides the shop until it is told to end, or is a registry until it is
/// killed. Elsewhere: nothing.
pub fn become_provider() {
    let (provider, registry) = (std::env::var(NAME), std::env::var(REGISTRY));
    if provider.is_err() && registry.is_err() {
        return;
    }
    // Its end closes with the test, however that goes, and the process must not outlive it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
    match (provider, registry) {
        (Ok(name), _) => provide(&name),
        (Err(_), orders) => serve_registry(&orders.unwrap()),
    }
    std::process::exit(0);
}

fn serve_registry(orders: &str) {
    let (port, token) = orders.split_once(' ').unwrap();
    let config = RegistryServerConfig { token: token.to_owned(), ..super::quick() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let port: u16 = port.parse().unwrap();
        let server = EmbeddedServer::bind(("127.0.0.1", port), config).await.unwrap();
        eprintln!("serving {}", server.local_addr());
        std::future::pending::<()>().await;
    });
}

fn provide(name: &str) {
    let clerk = match std::env::var_os(LEDGER) {
        Some(path) => Clerk::with_ledger(name, Path::new(&path)),
        None => Clerk::new(name),
    };
    let delay = std::env::var(DELAY).map_or(0, |millis| millis.parse().unwrap());
    let clerk = clerk.slower_by(Duration::from_millis(delay));
    let clerk = match std::env::var_os(BROKEN) {
        Some(path) => clerk.broken_while(Path::new(&path)),
        None => clerk,
    };
    let clerk = match std::env::var_os(SLOW) {
        Some(path) => clerk.slow_while(Path::new(&path)),
        None => clerk,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let running = Provider::builder().serve(ShopServer::new(clerk)).start().await.unwrap();
        super::until_is("it is registered", || running.is_registered()).await;
        eprintln!("serving {}", running.address());
        let report = running.run().await.unwrap();
        eprintln!("ended with {} calls cut", report.cut_calls);
    });
}
