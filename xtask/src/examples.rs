//! Runs the examples as a user would: built once, each from its own program, judged by its exit
//! code. An example of two programs has its provider running meanwhile.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::process::{Failure, cargo, program, run as run_program, target};

/// How long a provider may take until it says that it is ready, and until it has gone.
const PATIENCE: Duration = Duration::from_secs(60);

struct Example {
    name: &'static str,
    /// Runs meanwhile: the program, and what it prints once it is ready.
    provider: Option<(&'static str, &'static str)>,
    /// The program that must succeed, and its arguments.
    program: &'static [&'static str],
}

/// Every example. Programs are `[[example]]` targets of the workspace.
const EXAMPLES: [Example; 11] = [
    Example {
        name: "first-call",
        provider: Some(("first-call", "hi alice")),
        program: &["greeter-consumer"],
    },
    quickstart(&["quickstart", "--codec", "protobuf"]),
    quickstart(&["quickstart", "--codec", "msgpack"]),
    quickstart(&["quickstart", "--codec", "json"]),
    Example {
        name: "greeter",
        provider: Some(("greeter-provider", "ready")),
        program: &["greeter-consumer"],
    },
    Example {
        name: "tutorial",
        provider: Some(("tutorial-provider", "serving at")),
        program: &["tutorial-consumer"],
    },
    Example { name: "codecs", provider: None, program: &["codecs"] },
    Example { name: "balancers", provider: None, program: &["balancers"] },
    Example { name: "policies", provider: None, program: &["policies"] },
    Example { name: "errors", provider: None, program: &["errors"] },
    Example { name: "layers", provider: None, program: &["layers"] },
];

const fn quickstart(program: &'static [&'static str]) -> Example {
    Example { name: "quickstart", provider: None, program }
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
    run_program(&mut cargo(["build", "--release", "--workspace", "--examples"]))?;
    let chosen = |example: &&Example| names.is_empty() || names.iter().any(|n| n == example.name);
    EXAMPLES.iter().filter(chosen).try_for_each(run_one)
}

fn run_one(example: &Example) -> Result<(), Failure> {
    eprintln!("example {}", example.name);
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

/// A running provider; killed when it is dropped.
struct Provider {
    name: &'static str,
    child: Child,
}

impl Provider {
    fn start(name: &'static str, ready: &'static str) -> Result<Self, Failure> {
        let mut command = built(name);
        let child = command.stdout(Stdio::piped()).spawn();
        let child = child.map_err(|error| Failure::new(format!("cannot start {name}: {error}")))?;
        let mut provider = Self { name, child };
        let (said, heard) = mpsc::sync_channel(1);
        let output = provider.child.stdout.take();
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
        let (name, pid) = (self.name, self.child.id().to_string());
        run_program(program("kill").args(["-TERM", &pid]))?;
        let step = Duration::from_millis(50);
        let mut waited = Duration::ZERO;
        while waited < PATIENCE {
            match self.child.try_wait() {
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

impl Drop for Provider {
    fn drop(&mut self) {
        // Both fail only if it has gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
