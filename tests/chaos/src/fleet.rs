//! The processes of a fleet: started, signalled, replaced. All of them end with this one.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use dubhe::embedded::{EmbeddedServer, RegistryServerConfig};
use dubhe::{Consumer, Source};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
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
        let data = folder.path().join("registry");
        let data = data.to_str().ok_or("the folder's name is not UTF-8")?;
        let registry = Member::start("registry", &["as-registry", "0", data, "30", "10"]).await?;
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
        provider(&self.url(), self.folder(), name, more).await
    }

    /// A consumer of this fleet, with these settings as `KEY=VALUE`.
    pub(crate) fn consumer(&self, settings: &[&str]) -> Result<Consumer, BoxError> {
        consumer(&self.url(), settings)
    }

    /// A client that knows every provider of the list.
    pub(crate) async fn client(&self, consumer: &Consumer) -> Result<StoreClient, BoxError> {
        client(consumer, self.providers.len()).await
    }
}

/// Starts a provider of the registry at `url`, with its ledgers in `folder`.
pub(crate) async fn provider(
    url: &str,
    folder: &Path,
    name: &str,
    more: &[&str],
) -> Result<Member, BoxError> {
    let folder = folder.to_str().ok_or("the folder's name is not UTF-8")?;
    let registry = format!("registry.address={url}");
    let mut args = vec!["as-provider", name, folder, &registry];
    args.extend(["registry.cache=false", "provider.notice=300ms", "provider.port=0"]);
    args.extend(more);
    Member::start(name, &args).await
}

/// A client that knows `count` providers.
pub(crate) async fn client(consumer: &Consumer, count: usize) -> Result<StoreClient, BoxError> {
    let client: StoreClient = consumer.client().await?;
    let complete = async {
        while !is_complete(consumer, count) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = timeout(PATIENCE, complete).await;
    waited.map_err(|_| {
        let state = consumer.directory_state(&dubhe::ServiceKey::new("chaos.Store"));
        format!("the list was not complete within {PATIENCE:?}: {state:?}")
    })?;
    Ok(client)
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
    /// Starts this program in another role, and waits until it says where it is.
    pub(crate) async fn start(name: &str, args: &[&str]) -> Result<Self, BoxError> {
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
        Ok(Self { name: name.to_owned(), address, child, lines })
    }

    /// Tells it something in a line.
    pub(crate) async fn say(&mut self, line: &str) -> Result<(), BoxError> {
        let input = self.child.stdin.as_mut().ok_or("a child has no standard input")?;
        Ok(input.write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// Waits until it says this line; false if it does not within `limit`.
    pub(crate) async fn says(&mut self, line: &str, limit: Duration) -> Result<bool, BoxError> {
        let said = async {
            while let Some(said) = self.lines.next_line().await? {
                if said == line {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        timeout(limit, said).await.unwrap_or(Ok(false))
    }

    /// The time for which it has had a processor, in itself and in the kernel.
    pub(crate) fn cpu(&self) -> Result<Duration, BoxError> {
        let pid = self.child.id().ok_or("the process has gone already")?;
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // Its name is in parentheses and may hold anything; the times are the 12th and 13th after it.
        let (_, fields) = stat.rsplit_once(')').ok_or("a stat without a name")?;
        let times = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
        // In hundredths of a second, on every Linux.
        let ticks = times.sum::<Result<u64, _>>()?;
        Ok(Duration::from_millis(10 * ticks))
    }

    /// SIGKILL, unless it has gone: no goodbye. Its port is free afterwards.
    pub(crate) async fn kill(&mut self) -> Result<(), BoxError> {
        if self.child.id().is_some() {
            self.child.kill().await?;
        }
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

/// In a registry process: serves until the parent has gone. It does what it is told in lines, and says when
/// it begins and ends to keep silent instances.
pub(crate) async fn become_registry(args: &[String]) -> Result<(), BoxError> {
    let [port, data, lease, renew] = args else {
        return Err("want PORT FOLDER LEASE RENEW".into());
    };
    let config = RegistryServerConfig {
        lease: Duration::from_secs(lease.parse()?),
        renew: Duration::from_secs(renew.parse()?),
        closed_lease: Duration::from_millis(500),
        withhold: Duration::from_secs(3),
        ..RegistryServerConfig::default()
    };
    let server = EmbeddedServer::builder().listen(format!("127.0.0.1:{port}")).config(config);
    let server = server.data_dir(data).start().await?;
    println!("ready {}", server.local_addr());
    let mut told = BufReader::new(tokio::io::stdin()).lines();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let mut was_preserving = false;
    loop {
        tokio::select! {
            line = told.next_line() => match line?.as_deref() {
                Some("remove") => remove_all(&server),
                Some(other) => return Err(format!("cannot do `{other}`").into()),
                None => std::process::exit(3),
            },
            _ = ticks.tick() => {
                let is_preserving = server.status().is_preserving;
                if std::mem::replace(&mut was_preserving, is_preserving) != is_preserving {
                    println!("preserving {is_preserving}");
                }
            }
        }
    }
}

/// Takes every instance off its list, as a person does.
fn remove_all(server: &EmbeddedServer) {
    for service in server.services() {
        for instance in server.instances(&service) {
            server.remove(&service, &instance.address);
        }
    }
}

/// Ends this process when the parent has gone: the far end of standard input closes then.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(3);
    });
}
