//! The processes of the fleet: started, watched, killed. All of them end with this one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::{BoxError, Options};

/// How long a process may take to come up or to go.
const PATIENCE: Duration = Duration::from_secs(15);

/// A process of the fleet; killed when it is dropped.
pub struct Member {
    child: Child,
    /// Its end of this pipe closes when we go, however we go, and then it ends too.
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    role: String,
}

/// Names the folder of the fleet to its processes.
const FOLDER: &str = "QUICKSTART_FOLDER";

/// In a process of the fleet: the folder of the one that started it.
pub fn folder_of_parent() -> Option<PathBuf> {
    std::env::var_os(FOLDER).map(PathBuf::from)
}

/// Starts processes of the fleet.
pub struct Fleet {
    program: PathBuf,
    codec: String,
    pub folder: tempfile::TempDir,
    registry: Option<String>,
}

impl Fleet {
    pub fn new(options: &Options) -> Result<Self, BoxError> {
        Ok(Self {
            program: std::env::current_exe()?,
            codec: options.codec.clone(),
            folder: tempfile::tempdir()?,
            registry: options.registry.clone(),
        })
    }

    /// Starts the registry on `port` (0: any) and returns it with the port it has.
    pub async fn registry(&mut self, port: u16) -> Result<(Member, u16), BoxError> {
        let mut member = self.start("as-registry", &[port.to_string()])?;
        let address = member.ready().await?;
        let port = address.rsplit(':').next().unwrap_or_default().parse()?;
        self.registry = Some(format!("dubhe://{address}"));
        Ok((member, port))
    }

    /// Starts a provider on `port` (0: any) and returns it with the port it has.
    pub async fn provider(
        &self,
        name: &str,
        port: u16,
        ledger: &Path,
    ) -> Result<(Member, u16), BoxError> {
        let ledger = ledger.to_str().ok_or("the folder's name is not UTF-8")?.to_owned();
        let mut member = self.start("as-provider", &[name.into(), port.to_string(), ledger])?;
        let address = member.ready().await?;
        let port = address.rsplit(':').next().unwrap_or_default().parse()?;
        Ok((member, port))
    }

    pub fn consumer(&self, callers: usize) -> Result<Member, BoxError> {
        self.start("as-consumer", &[callers.to_string()])
    }

    fn start(&self, role: &str, args: &[String]) -> Result<Member, BoxError> {
        let mut command = Command::new(&self.program);
        command.arg(role).args(args);
        // Only what is said here: a configuration of the reader's own shall not change the story.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("DUBHE_") && name != "DUBHE_LOG") {
                command.env_remove(&name);
            }
        }
        command.env("DUBHE_CONFIG", "").env(FOLDER, self.folder.path());
        command.env("DUBHE_CONSUMER__CODEC", &self.codec);
        command.env("DUBHE_REGISTRY__CACHE_DIR", self.folder.path().join("cache"));
        if let Some(registry) = &self.registry {
            command.env("DUBHE_REGISTRY__ADDRESS", registry);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        // A group of its own: Ctrl-C reaches the director alone, who ends the others in order.
        command.process_group(0);
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or("a child has no standard output")?;
        let lines = BufReader::new(stdout).lines();
        Ok(Member { child, stdin, lines, role: role.trim_start_matches("as-").to_owned() })
    }
}

impl Member {
    /// The next line it prints; `None` at its end.
    pub async fn line(&mut self) -> Result<Option<String>, BoxError> {
        Ok(self.lines.next_line().await?)
    }

    /// Kills it with SIGKILL: no goodbye, no cleaning up.
    pub async fn kill(mut self) -> Result<(), BoxError> {
        self.child.kill().await?;
        Ok(())
    }

    /// Tells it to end.
    pub fn tell_to_end(&mut self) {
        self.stdin = None;
    }

    /// Tells it to end and waits until it has.
    pub async fn end(mut self) -> Result<(), BoxError> {
        self.tell_to_end();
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => match status? {
                status if status.success() => Ok(()),
                status => Err(format!("the {} failed: {status}", self.role).into()),
            },
            Err(_) => Err(format!("the {} did not end within {PATIENCE:?}", self.role).into()),
        }
    }

    /// Waits for its `ready ADDRESS` and returns the address.
    async fn ready(&mut self) -> Result<String, BoxError> {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
        let role = &self.role;
        match line.map_err(|_| format!("the {role} was not ready within {PATIENCE:?}"))?? {
            Some(line) => match line.strip_prefix("ready ") {
                Some(address) => Ok(address.to_owned()),
                None => Err(format!("the {role} said `{line}`").into()),
            },
            None => Err(format!("the {role} ended while starting").into()),
        }
    }
}
