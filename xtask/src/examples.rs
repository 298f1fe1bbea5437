//! Runs the examples as a user would: built once, each from its own program, judged by its exit
//! code. An example of two programs has its provider running meanwhile.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::process::{Failure, RunningProgram, cargo, program, run as run_program, target};

/// How long a provider may take until it says that it is ready, and until it has gone.
const PATIENCE: Duration = Duration::from_secs(60);

struct Example {
    name: &'static str,
    /// The registry server that runs meanwhile, and is killed and comes back; where it is not installed, the
    /// example is left out, loudly.
    server: Option<&'static str>,
    /// Runs meanwhile: the program, and what it prints once it is ready.
    provider: Option<(&'static str, &'static str)>,
    /// The program that must succeed, and its arguments.
    program: &'static [&'static str],
}

/// The quickstart at a registry, whose address follows.
const QUICKSTART_AT: [&str; 2] = ["quickstart", "--registry"];

/// It ends with a provider that comes back to a registry that is there again.
const QUICKLY: &[&str] = &["--seconds", "10"];

/// The same at a registry that takes half a minute to start where others are busy.
const SLOWLY: &[&str] = &["--seconds", "90", "--callers", "8"];

/// How many of its lines, four a second, the quickstart prints after a provider of its own was killed until its
/// registry is, too.
const UNTIL_DEAD: u32 = 4;

/// In how many of its lines the quickstart says that its list is kept before its registry comes back.
const DEAD: u32 = 8;

/// Every example. Programs are `[[example]]` targets of the workspace.
const EXAMPLES: [Example; 13] = [
    Example {
        name: "first-call",
        server: None,
        provider: Some(("first-call", "hi alice")),
        program: &["greeter-consumer"],
    },
    quickstart(&["quickstart", "--codec", "protobuf"]),
    quickstart(&["quickstart", "--codec", "msgpack"]),
    quickstart(&["quickstart", "--codec", "json"]),
    quickstart_at("etcd"),
    quickstart_at("zookeeper"),
    Example {
        name: "greeter",
        server: None,
        provider: Some(("greeter-provider", "ready")),
        program: &["greeter-consumer"],
    },
    Example {
        name: "tutorial",
        server: None,
        provider: Some(("tutorial-provider", "serving at")),
        program: &["tutorial-consumer"],
    },
    Example { name: "codecs", server: None, provider: None, program: &["codecs"] },
    Example { name: "balancers", server: None, provider: None, program: &["balancers"] },
    Example { name: "policies", server: None, provider: None, program: &["policies"] },
    Example { name: "errors", server: None, provider: None, program: &["errors"] },
    Example { name: "layers", server: None, provider: None, program: &["layers"] },
];

const fn quickstart(program: &'static [&'static str]) -> Example {
    Example { name: "quickstart", server: None, provider: None, program }
}

const fn quickstart_at(server: &'static str) -> Example {
    Example { name: "quickstart", server: Some(server), provider: None, program: &QUICKSTART_AT }
}

/// Runs all examples, or those named.
pub(crate) fn run(names: &[String]) -> Result<(), Failure> {
    if let Some(name) = names.iter().find(|name| EXAMPLES.iter().all(|known| known.name != **name))
    {
        let mut known = EXAMPLES.map(|example| example.name).to_vec();
        known.dedup();
        let known = known.join(", ");
        return Err(Failure::new(format!("unknown example `{name}`, available: {known}")));
    }
    build()?;
    let chosen = |example: &&Example| names.is_empty() || names.iter().any(|n| n == example.name);
    EXAMPLES.iter().filter(chosen).try_for_each(run_one)
}

/// Runs the quickstart at every version of Nacos, whose servers are where `place`, a variable and its value, says.
pub(crate) fn run_at_nacos(place: (&str, &Path)) -> Result<(), Failure> {
    build()?;
    ["nacos2", "nacos3"].into_iter().try_for_each(|version| {
        let Some(server) = Server::start(version, &[place])? else {
            return Err(Failure::new(format!("{version} is not there")));
        };
        eprintln!("example quickstart at {version}");
        run_at(server, SLOWLY)
    })
}

/// Runs the quickstart at a registry that is killed and comes back meanwhile, as the one that it starts itself.
fn run_at(mut server: Server, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = built(QUICKSTART_AT[0]);
    command.args(&QUICKSTART_AT[1..]).arg(&server.url).args(arguments);
    command.stdout(Stdio::piped());
    let failed = |error: std::io::Error| Failure::new(format!("the quickstart: {error}"));
    let mut quickstart = RunningProgram(command.spawn().map_err(failed)?);
    let output = quickstart.0.stdout.take();
    let (mut is_one_dead, mut alive, mut kept) = (false, 0, 0);
    for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
        let line = line.map_err(failed)?;
        println!("{line}");
        is_one_dead |= line.starts_with(">>> kill -9 provider");
        if is_one_dead && alive < UNTIL_DEAD {
            alive += 1;
            if alive == UNTIL_DEAD {
                server.tell("kill").map_err(failed)?;
            }
        } else if alive == UNTIL_DEAD && line.contains("list: kept") && kept < DEAD {
            kept += 1;
            if kept == DEAD {
                server.tell("revive").map_err(failed)?;
            }
        }
    }
    let status = quickstart.0.wait().map_err(failed)?;
    match status.success() {
        true if kept == DEAD => Ok(()),
        true => Err(Failure::new("the quickstart did not notice that its registry was away")),
        false => Err(Failure::new(format!("the quickstart ended with {status}"))),
    }
}

fn build() -> Result<(), Failure> {
    run_program(&mut cargo(["build", "--release", "--workspace", "--examples"]))
}

fn run_one(example: &Example) -> Result<(), Failure> {
    eprintln!("example {}", example.name);
    if let Some(name) = example.server {
        let server = Server::start(name, &[])?;
        return server.map_or(Ok(()), |server| run_at(server, QUICKLY));
    }
    let provider = match example.provider {
        Some((name, ready)) => Some(Provider::start(name, ready)?),
        None => None,
    };
    let (name, arguments) = example.program.split_first().unwrap_or((&"", &[]));
    run_program(built(name).args(arguments))?;
    provider.map_or(Ok(()), Provider::stop)
}

fn built(name: &str) -> Command {
    program(target().join("release/examples").join(name))
}

/// A running registry server; it ends with the input of the program that started it, and is killed and started
/// again by a word there.
struct Server {
    url: String,
    program: RunningProgram,
}

impl Server {
    /// `None` if it is not installed, which that program says.
    fn start(name: &str, places: &[(&str, &Path)]) -> Result<Option<Self>, Failure> {
        let failed = |why: String| Failure::new(format!("cannot start {name}: {why}"));
        let mut command = built("serve");
        command.envs(places.iter().copied());
        let child = command.arg(name).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let program = RunningProgram(child.map_err(|error| failed(error.to_string()))?);
        let mut server = Self { url: String::new(), program };
        let mut line = String::new();
        if let Some(output) = server.program.0.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(|error| failed(error.to_string()))?;
        }
        match line.trim_end().strip_prefix("ready ") {
            Some(url) => {
                url.clone_into(&mut server.url);
                Ok(Some(server))
            }
            None => match server.program.0.wait() {
                Ok(status) if status.success() => Ok(None),
                _ => Err(failed("see above".to_owned())),
            },
        }
    }

    fn tell(&mut self, word: &str) -> std::io::Result<()> {
        match &mut self.program.0.stdin {
            Some(input) => writeln!(input, "{word}"),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends the servers before it ends itself.
        drop(self.program.0.stdin.take());
        let _ = self.program.0.wait();
    }
}

/// A running provider.
struct Provider {
    name: &'static str,
    program: RunningProgram,
}

impl Provider {
    fn start(name: &'static str, ready: &'static str) -> Result<Self, Failure> {
        let mut command = built(name);
        let child = command.stdout(Stdio::piped()).spawn();
        let child = child.map_err(|error| Failure::new(format!("cannot start {name}: {error}")))?;
        let mut provider = Self { name, program: RunningProgram(child) };
        let (said, heard) = mpsc::sync_channel(1);
        let output = provider.program.0.stdout.take();
        // Ends with the provider, whose output it also keeps from filling its pipe.
        thread::spawn(move || {
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
                let Ok(line) = line else { break };
                eprintln!("{name}: {line}");
                if line.contains(ready) {
                    let _ = said.try_send(());
                }
            }
        });
        heard.recv_timeout(PATIENCE).map_err(|_| {
            Failure::new(format!("{name} ended or did not print `{ready}` within {PATIENCE:?}"))
        })?;
        Ok(provider)
    }

    /// Asks it to go, and expects that it does so by itself and successfully.
    fn stop(mut self) -> Result<(), Failure> {
        let (name, pid) = (self.name, self.program.0.id().to_string());
        run_program(program("kill").args(["-TERM", &pid]))?;
        let step = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            match self.program.0.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => {
                    return Err(Failure::new(format!("{name} did not go politely: {status}")));
                }
                Ok(None) => thread::sleep(step),
                Err(error) => return Err(Failure::new(format!("cannot wait for {name}: {error}"))),
            }
            waited += step;
        }
        Err(Failure::new(format!("{name} still runs {PATIENCE:?} after SIGTERM")))
    }
}
