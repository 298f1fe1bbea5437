//! The real command against real providers and a real `dubhe registry`, each on a free port.

#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(missing_docs, missing_debug_implementations, reason = "no interface of the crate")]

use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dubhe::config::{Layer, Sources};
use dubhe::prelude::*;
use dubhe::{Invocation, RunningProvider, ServiceKey, interceptor};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// How long anything may take; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub sku: String,
    pub amount: u32,
}

/// What a shop has.
#[dubhe::service(name = "test.Stock")]
pub trait Stock {
    /// How many are left.
    #[rpc(idempotent)]
    async fn left(&self, sku: String, reserve: u32) -> Result<u32>;

    /// Takes some away.
    async fn take(&self, item: Item) -> Result<Item>;

    /// Fails as if the provider had gone.
    #[rpc(idempotent)]
    async fn flee(&self) -> Result<()>;

    /// Gives back who called, by metadata `caller`.
    #[rpc(idempotent)]
    async fn caller(&self) -> Result<String>;

    /// Notes something, and answers nothing.
    #[rpc(oneway)]
    async fn note(&self, text: String) -> Result<()>;

    /// Takes its time.
    #[rpc(idempotent)]
    async fn ponder(&self, millis: u64) -> Result<()>;

    /// Says why not.
    #[rpc(idempotent)]
    async fn refuse(&self) -> Result<u32, Refusal>;

    /// Fails, and is answered all the same.
    #[rpc(idempotent, cluster = "failsafe", fallback = "7")]
    async fn guess(&self) -> Result<u32>;

    /// How many of each shelf, by its number.
    #[rpc(idempotent)]
    async fn count(&self, shelves: HashMap<u8, Item>) -> Result<u32>;
}

/// Why there is nothing to be had.
#[dubhe::error]
#[derive(Debug, PartialEq)]
pub enum Refusal {
    #[rpc(code = "not_found", message = "{left} are left")]
    OutOfStock { left: u32 },
    #[rpc(status)]
    Status(Status),
}

pub struct Shelf;

/// How many notes any shelf has got.
pub static NOTED: AtomicU64 = AtomicU64::new(0);

/// The longest time in milliseconds that any shelf was asked to ponder.
pub static LONGEST: AtomicU64 = AtomicU64::new(0);

impl Stock for Shelf {
    async fn left(&self, _: String, reserve: u32) -> Result<u32> {
        Ok(100_u32.saturating_sub(reserve))
    }

    async fn take(&self, item: Item) -> Result<Item> {
        Ok(item)
    }

    async fn flee(&self) -> Result<()> {
        Err(Status::unavailable("gone\u{1b}[2J\u{9b}"))
    }

    async fn caller(&self) -> Result<String> {
        let context = CallContext::current();
        let caller = context.and_then(|call| Some(call.metadata().value("caller")?.to_owned()));
        if caller.is_some() {
            CallContext::append_reply_metadata("seen", "once");
            CallContext::append_reply_metadata("seen", "tw\u{1b}ice");
        }
        Ok(caller.unwrap_or_default())
    }

    async fn note(&self, _: String) -> Result<()> {
        NOTED.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn ponder(&self, millis: u64) -> Result<()> {
        LONGEST.fetch_max(millis, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(())
    }

    async fn refuse(&self) -> Result<u32, Refusal> {
        Err(Refusal::OutOfStock { left: 3 })
    }

    async fn guess(&self) -> Result<u32> {
        Err(Status::unavailable("nobody knows"))
    }

    async fn count(&self, shelves: HashMap<u8, Item>) -> Result<u32> {
        Ok(shelves.values().map(|item| item.amount).sum())
    }
}

pub fn stock() -> ServiceKey {
    ServiceKey::new("test.Stock")
}

/// What a run of the command came to.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    /// Fails unless it ended with this code.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// Fails unless it printed this to standard error.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.err.contains(text), "expected {text:?} in {:?}", self.err);
        self
    }

    /// Fails unless it printed this to standard output.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.out.contains(text), "expected {text:?} in\n{}", self.out);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }
}

/// The command with nothing of this process's settings.
pub fn command(args: &[&str]) -> Command {
    prepared(Command::new(env!("CARGO_BIN_EXE_dubhe")), args)
}

/// As [`command`], and SIGHUP ends it also where whoever runs the tests has it ignored (`nohup`).
pub fn hearing_hangups(args: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_dubhe")]);
    prepared(command, args)
}

fn prepared(mut command: Command, args: &[&str]) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DUBHE_") {
            command.env_remove(name);
        }
    }
    command.env("DUBHE_CONFIG", "").env("DUBHE_REGISTRY__CACHE", "false").args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

/// Runs it to its end with this on its standard input.
pub async fn run_with(mut command: Command, input: &str) -> Run {
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end without reading.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the command with this registry.
pub async fn with(registry: &str, args: &[&str]) -> Run {
    dubhe(&[&["--registry", registry], args].concat()).await
}

/// Runs the command with these arguments to its end.
pub async fn dubhe(args: &[&str]) -> Run {
    run_with(command(args), "").await
}

/// A `dubhe registry` that runs; killed when it is dropped.
pub struct Registry {
    pub child: Child,
    pub url: String,
    /// The line it printed.
    pub said: String,
}

impl Registry {
    pub async fn start(args: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", args).await
    }

    pub async fn start_at(listen: &str, args: &[&str]) -> Self {
        let mut all = vec!["registry", "--listen", listen];
        all.extend(args);
        Self::of(&mut command(&all)).await
    }

    pub async fn of(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let at = said.find("dubhe://").unwrap();
        let url = said[at..].split([',', ' ']).next().unwrap().to_owned();
        Self { child, url, said }
    }

    /// Runs the command with this registry.
    pub async fn dubhe(&self, args: &[&str]) -> Run {
        dubhe(&[&["--registry", &self.url], args].concat()).await
    }

    /// Sends it a signal, such as TERM.
    pub async fn signal(&self, name: &str) {
        signal(self.child.id().unwrap(), name).await;
    }
}

/// Sends a process a signal, such as TERM.
pub async fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), id.to_string()]).status().await;
    assert!(sent.unwrap().success());
}

/// A provider of the stock in this process, registered.
pub async fn provider(registry: &str, token: &str) -> RunningProvider {
    provider_of(registry, token, &["dubbo", "json"]).await
}

/// The same, serving these protocols.
pub async fn provider_of(registry: &str, token: &str, protocols: &[&str]) -> RunningProvider {
    started(builder(registry, token, protocols).serve(StockServer::new(Shelf))).await
}

/// One that lets in nobody who does not show a token, whatever is asked of it.
pub async fn guarded(registry: &str) -> RunningProvider {
    let guard = interceptor(|call: &mut Invocation| match call.metadata.value("token") {
        Some("sesame") => Ok(()),
        _ => Err(Status::unauthenticated("show the token")),
    });
    let provider = builder(registry, "", &["dubbo", "json"]).layer(guard);
    started(provider.serve(StockServer::new(Shelf))).await
}

pub async fn started(provider: Provider) -> RunningProvider {
    let running = provider.start().await.unwrap();
    assert!(running.is_registered());
    running
}

/// A provider of the stock, once it is registered: a server that has just started takes its time.
pub async fn late_provider(registry: &str) -> RunningProvider {
    let provider = builder(registry, "", &["dubbo", "json"]).serve(StockServer::new(Shelf));
    let running = provider.start().await.unwrap();
    let registered = async {
        while !running.is_registered() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, registered).await.unwrap();
    running
}

/// A consumer of the application `name`, with no other settings.
pub fn consumer(registry: &str, name: &str) -> Consumer {
    let layer = Layer::new()
        .set("application.name", name)
        .set("registry.address", registry)
        .set("registry.cache", false);
    let sources = Sources { builder: layer, ..Sources::default() };
    Consumer::builder().sources(sources).build().unwrap()
}

/// A provider of nothing so far.
pub fn builder(registry: &str, token: &str, protocols: &[&str]) -> Provider {
    let token = match token {
        "" => Layer::new(),
        token => Layer::new().set("registry.token", token),
    };
    let builder = token
        .set("application.name", "shelf")
        .set("registry.address", registry)
        .set("registry.cache", false)
        .set("provider.port", 0)
        .set("provider.protocols", protocols)
        .set("provider.notice", "0s");
    let sources = Sources { builder, ..Sources::default() };
    Provider::builder().sources(sources)
}

/// A registry with one provider of the stock.
pub async fn shop() -> (Registry, RunningProvider) {
    let registry = Registry::start(&[]).await;
    let provider = provider(&registry.url, "").await;
    (registry, provider)
}
