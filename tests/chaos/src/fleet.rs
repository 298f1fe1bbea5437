//! The processes of a fleet: started, signalled, replaced. All of them end with this one.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use dubhe::embedded::{EmbeddedServer, RegistryServerConfig};
use dubhe::{Consumer, Source};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::BoxError;
use crate::api::StoreClient;

/// How long a process may take to come up or to go.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process of the fleet; killed when it is dropped.
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) address: String,
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// A registry, providers, and the folder of their ledgers.
pub(crate) struct Fleet {
    pub(crate) registry: Member,
    pub(crate) providers: Vec<Member>,
    folder: tempfile::TempDir,
}

impl Fleet {
    /// A registry and `count` providers named `p0`, `p1` and so on, with these settings.
    pub(crate) async fn start(count: usize, settings: &[&str]) -> Result<Self, BoxError> {
        let folder = tempfile::tempdir()?;
        let registry = registry("0", folder.path()).await?;
        let mut fleet = Self { registry, providers: Vec::new(), folder };
        for number in 0..count {
            let provider = fleet.provider(&format!("p{number}"), settings).await?;
            fleet.providers.push(provider);
        }
        Ok(fleet)
    }

    pub(crate) fn url(&self) -> String {
        format!("dubhe://{}", self.registry.address)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts one more provider, without adding it to the list.
    pub(crate) async fn provider(&self, name: &str, more: &[&str]) -> Result<Member, BoxError> {
        let folder = self.folder().to_str().ok_or("the folder's name is not UTF-8")?;
        let registry = format!("registry.address={}", self.url());
        let mut args = vec!["as-provider", name, folder, &registry];
        args.extend(["registry.cache=false", "provider.notice=300ms", "provider.port=0"]);
        args.extend(more);
        start(name, &args).await
    }

    /// Kills the registry and starts another on its port.
    pub(crate) async fn restart_registry(&mut self) -> Result<(), BoxError> {
        self.registry.kill().await?;
        self.revive_registry().await
    }

    /// Starts a registry on the port of the one that was killed, with the data that left.
    pub(crate) async fn revive_registry(&mut self) -> Result<(), BoxError> {
        let port = self.registry.address.rsplit(':').next().unwrap_or_default().to_owned();
        self.registry = registry(&port, self.folder()).await?;
        Ok(())
    }

    /// A consumer of this fleet, with these settings as `KEY=VALUE`.
    pub(crate) fn consumer(&self, settings: &[&str]) -> Result<Consumer, BoxError> {
        consumer(&self.url(), settings)
    }

    /// A client that knows every provider of the list.
    pub(crate) async fn client(&self, consumer: &Consumer) -> Result<StoreClient, BoxError> {
        let client: StoreClient = consumer.client().await?;
        let complete = async {
            while !is_complete(consumer, self.providers.len()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = timeout(PATIENCE, complete).await;
        waited.map_err(|_| format!("the list was not complete within {PATIENCE:?}"))?;
        Ok(client)
    }
}

/// A consumer of the registry at `url`, with these settings as `KEY=VALUE`.
pub(crate) fn consumer(url: &str, settings: &[&str]) -> Result<Consumer, BoxError> {
    let mut builder = Consumer::new(url);
    if !settings.iter().any(|setting| setting.starts_with("registry.cache")) {
        builder = builder.set("registry.cache", false);
    }
    for setting in settings {
        let (key, value) = self::setting(setting)?;
        builder = builder.set(key, value);
    }
    Ok(builder.build()?)
}

/// A setting as the configuration takes it: `KEY=VALUE`, where what is no JSON is a text.
pub(crate) fn setting(text: &str) -> Result<(&str, serde_json::Value), BoxError> {
    let (key, value) = text.split_once('=').ok_or("settings are KEY=VALUE")?;
    Ok((key, serde_json::from_str(value).unwrap_or_else(|_| value.into())))
}

/// Whether the list of the store has `count` providers and comes from the registry itself.
pub(crate) fn is_complete(consumer: &Consumer, count: usize) -> bool {
    let state = consumer.directory_state(&dubhe::ServiceKey::new("chaos.Store"));
    state.is_some_and(|state| state.endpoints == count && matches!(state.source, Source::Live))
}

impl Member {
    /// SIGKILL: no goodbye. Its port is free afterwards.
    pub(crate) async fn kill(&mut self) -> Result<(), BoxError> {
        self.child.kill().await?;
        Ok(())
    }

    /// SIGSTOP: it hangs, and its connections stay.
    pub(crate) async fn stop(&self) -> Result<(), BoxError> {
        self.signal("STOP").await
    }

    /// SIGCONT: it goes on as if nothing had been.
    pub(crate) async fn resume(&self) -> Result<(), BoxError> {
        self.signal("CONT").await
    }

    /// SIGTERM: please; waits until it has gone and returns how many calls it cut.
    pub(crate) async fn terminate(&mut self) -> Result<usize, BoxError> {
        self.signal("TERM").await?;
        let gone = async {
            let mut cut = 0;
            while let Some(line) = self.lines.next_line().await? {
                cut = line.strip_prefix("cut ").and_then(|n| n.parse().ok()).unwrap_or(cut);
            }
            let status = self.child.wait().await?;
            if status.success() { Ok(cut) } else { Err(format!("{}: {status}", self.name).into()) }
        };
        timeout(PATIENCE, gone).await.map_err(|_| "it did not go within 20 s")?
    }

    async fn signal(&self, signal: &str) -> Result<(), BoxError> {
        let pid = self.child.id().ok_or("the process has gone already")?.to_string();
        let status = Command::new("kill").args(["-s", signal, &pid]).status().await?;
        if status.success() { Ok(()) } else { Err(format!("kill -s {signal} failed").into()) }
    }
}

/// A registry that keeps its data in `folder`.
async fn registry(port: &str, folder: &Path) -> Result<Member, BoxError> {
    let data = folder.join("registry");
    let data = data.to_str().ok_or("the folder's name is not UTF-8")?;
    start("registry", &["as-registry", port, data]).await
}

async fn start(name: &str, args: &[&str]) -> Result<Member, BoxError> {
    let program: PathBuf = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.args(args);
    // Only what is said here: a configuration of the reader's own shall not change the outcome.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("DUBHE_")) {
            command.env_remove(&name);
        }
    }
    command.env("DUBHE_CONFIG", "").stdin(Stdio::piped()).stdout(Stdio::piped());
    command.kill_on_drop(true).process_group(0);
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().ok_or("a child has no standard output")?;
    let mut lines = BufReader::new(stdout).lines();
    let first = timeout(PATIENCE, lines.next_line()).await;
    let first = first.map_err(|_| format!("{name} was not ready within {PATIENCE:?}"))??;
    let address = first.as_deref().and_then(|line| line.strip_prefix("ready "));
    let address = address.ok_or_else(|| format!("{name} ended or said {first:?}"))?.to_owned();
    Ok(Member { name: name.to_owned(), address, child, lines })
}

/// In a registry process: serves until the parent has gone.
pub(crate) async fn become_registry(args: &[String]) -> Result<(), BoxError> {
    let [port, data] = args else { return Err("want PORT FOLDER".into()) };
    let config = RegistryServerConfig {
        closed_lease: Duration::from_millis(500),
        withhold: Duration::from_secs(3),
        ..RegistryServerConfig::default()
    };
    let server = EmbeddedServer::builder().listen(format!("127.0.0.1:{port}")).config(config);
    let server = server.data_dir(data).start().await?;
    println!("ready {}", server.local_addr());
    end_with_parent();
    std::future::pending().await
}

/// Ends this process when the parent has gone: the far end of standard input closes then.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
}
