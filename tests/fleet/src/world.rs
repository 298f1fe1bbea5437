//! Who takes part: providers and consumers by language, level and metadata, and how each is started.

use std::env;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::BoxError;

/// Says where `cargo xtask fleet` has put the peers.
const PREPARED: &str = "DUBHE_FLEET";

/// What a program is written in, and with which framework.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    Java,
    Go,
}

/// The levels at which a provider is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Interface,
    Instance,
    All,
}

impl Mode {
    /// Whether a provider is listed at `level`, `interface` or `application`.
    pub(crate) fn is_listed_at(self, level: &str) -> bool {
        match self {
            Self::All => true,
            Self::Interface => level == "interface",
            Self::Instance => level == "application",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Instance => "instance",
            Self::All => "all",
        }
    }
}

/// Ports of a provider, the first for `dubbo`; most do not use the other.
pub(crate) type Ports = [u16; 2];

/// A provider or consumer as it is started. Its name is that of its application too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cast {
    pub(crate) name: &'static str,
    pub(crate) language: Language,
    pub(crate) mode: Mode,
    /// Whether the registry has its services, or it alone.
    pub(crate) is_remote: bool,
    /// Whether it is reached by `tri` too, at a port of its own.
    pub(crate) has_tri: bool,
}

impl Cast {
    pub(crate) const fn ours(name: &'static str) -> Self {
        Self::theirs(name, Language::Rust, Mode::All)
    }

    pub(crate) const fn theirs(name: &'static str, language: Language, mode: Mode) -> Self {
        Self { name, language, mode, is_remote: true, has_tri: false }
    }

    pub(crate) const fn local(mut self) -> Self {
        self.is_remote = false;
        self
    }

    pub(crate) const fn with_tri(mut self) -> Self {
        self.has_tri = true;
        self
    }

    /// The protocols by which one of others is reached, as Dubbo names them, each with its port.
    pub(crate) fn protocols(&self, ports: Ports) -> Vec<(&'static str, u16)> {
        let [dubbo, tri] = ports;
        let both = [("dubbo", dubbo), ("tri", tri)];
        both.into_iter().take(if self.has_tri { 2 } else { 1 }).collect()
    }
}

/// The programs of the fleet.
#[derive(Debug)]
pub(crate) struct Programs {
    own: PathBuf,
    prepared: PathBuf,
    class_path: String,
}

impl Programs {
    /// Those that `cargo xtask fleet` has prepared.
    pub(crate) fn find() -> Result<Self, BoxError> {
        let prepared =
            env::var_os(PREPARED).ok_or("no peers are prepared: run cargo xtask fleet")?;
        let prepared = PathBuf::from(prepared);
        let class_path = std::fs::read_to_string(prepared.join("java/classpath"))?;
        let classes = prepared.join("java/classes");
        let class_path = format!("{}:{}", classes.display(), class_path.trim());
        Ok(Self { own: env::current_exe()?, prepared, class_path })
    }

    /// An empty folder for what the peers of one fleet log and keep; it stays until the next run.
    pub(crate) fn logs(&self, fleet: &str) -> Result<PathBuf, BoxError> {
        let folder = self.prepared.join("logs").join(fleet);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A provider at `ports`, which ours chooses itself; `folder` is its home, where it keeps its caches.
    pub(crate) fn provider(&self, cast: Cast, url: &str, ports: Ports, folder: &Path) -> Command {
        let metadata = if cast.is_remote { "remote" } else { "local" };
        let mut command = self.program("provider", cast, url, folder);
        if cast.language != Language::Rust {
            command.arg(format!("port={}", ports[0])).arg(format!("metadata={metadata}"));
        }
        if cast.has_tri {
            command.arg(format!("tri-port={}", ports[1]));
        }
        command
    }

    /// A consumer; a foreign one follows the levels of its mode.
    pub(crate) fn consumer(&self, cast: Cast, url: &str, folder: &Path) -> Command {
        self.program("consumer", cast, url, folder)
    }

    fn program(&self, role: &str, cast: Cast, url: &str, folder: &Path) -> Command {
        let Cast { name, language, mode, .. } = cast;
        let mut command = match language {
            Language::Rust => Command::new(&self.own),
            Language::Java => Command::new("java"),
            Language::Go => Command::new(self.prepared.join("go/peer")),
        };
        match language {
            Language::Rust => drop(command.args([&format!("as-{role}"), url, name])),
            Language::Java => {
                // It lives for a minute: what compiles longer to run faster does not pay.
                command.args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
                command.arg(format!("-Duser.home={}", folder.display()));
                command.args(["-cp", &self.class_path, "dubhe.fleet.Peer", role]);
            }
            Language::Go => drop(command.arg(role)),
        }
        if language != Language::Rust {
            let mode = mode.word();
            command.arg(format!("application={name}")).arg(format!("registry={url}"));
            command.arg(format!("mode={mode}"));
        }
        // Only what is said here: settings of the reader's own shall not change the outcome.
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("DUBHE_")) {
                command.env_remove(&name);
            }
        }
        command.env("DUBHE_CONFIG", "").env("HOME", folder).current_dir(folder);
        command
    }
}
