//! What happens when: the director of the fleet, and the judge of the outcome.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::consumer::Report;
use crate::fleet::{Fleet, Member};
use crate::{BoxError, Options, ledger};

/// What is done, and when, in percent of the whole time.
const PLOT: [(u64, Act); 4] = [
    (20, Act::KillProvider),
    (40, Act::KillRegistry),
    (65, Act::ReviveRegistry),
    (75, Act::ReviveProvider),
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    KillProvider,
    KillRegistry,
    ReviveRegistry,
    ReviveProvider,
}

struct Director {
    fleet: Fleet,
    registry: Option<(Member, u16)>,
    /// `None` if it is not ours to kill.
    registry_port: Option<u16>,
    /// Name, process and port; the process is gone while the provider is dead.
    providers: Vec<(String, Option<Member>, u16)>,
    ledgers: Vec<(String, PathBuf)>,
    in_flight_at_kill: u64,
    /// Successes when the registry died, and when it came back.
    without_registry: (u64, u64),
    /// Whether the consumer said meanwhile that its list was kept.
    was_kept: bool,
}

/// Runs the whole story; `true` if it went as promised.
pub async fn tell(options: &Options) -> Result<bool, BoxError> {
    let mut director = Director::raise(options).await?;
    let mut consumer = director.fleet.consumer(options.callers)?;
    let (length, terminal) =
        (Duration::from_secs(options.seconds), std::io::stdout().is_terminal());
    say(&format!("codec {}, {} callers, {} s", options.codec, options.callers, options.seconds))?;
    let (mut plot, mut last, mut began) = (PLOT.into_iter().peekable(), Report::default(), None);
    let mut stopping = false;
    while let Some(line) = consumer.line().await? {
        let report: Report = serde_json::from_str(&line)?;
        let began = *began.get_or_insert_with(Instant::now);
        show(&report, &last, began, terminal)?;
        director.was_kept |= report.list.starts_with("kept");
        last = report;
        if let Some((_, act)) =
            plot.next_if(|(percent, _)| began.elapsed() * 100 >= length * *percent as u32)
        {
            director.perform(act, &last, terminal).await?;
        }
        if !stopping && plot.peek().is_none() && began.elapsed() >= length {
            stopping = true;
            consumer.tell_to_end();
        }
    }
    consumer.end().await?;
    director.close().await?;
    director.judge(&last)
}

impl Director {
    async fn raise(options: &Options) -> Result<Self, BoxError> {
        let mut fleet = Fleet::new(options)?;
        let registry = match &options.registry {
            Some(_) => {
                say(&format!("registry  {}", options.registry_shown))?;
                None
            }
            None => {
                let (member, port) = fleet.registry(0).await?;
                say(&format!("registry  127.0.0.1:{port}"))?;
                Some((member, port))
            }
        };
        let mut director = Self {
            fleet,
            registry_port: registry.as_ref().map(|(_, port)| *port),
            registry,
            providers: Vec::new(),
            ledgers: Vec::new(),
            in_flight_at_kill: 0,
            without_registry: (0, 0),
            was_kept: false,
        };
        for name in ["ada", "bob", "cyd"] {
            let (member, port) = director.start_provider(name, 0).await?;
            say(&format!("provider  127.0.0.1:{port} {name}"))?;
            director.providers.push((name.to_owned(), Some(member), port));
        }
        Ok(director)
    }

    async fn start_provider(&mut self, name: &str, port: u16) -> Result<(Member, u16), BoxError> {
        let life = self.ledgers.len();
        let path = self.fleet.folder.path().join(format!("{name}.{life}.ledger"));
        let started = self.fleet.provider(name, port, &path).await?;
        self.ledgers.push((name.to_owned(), path));
        Ok(started)
    }

    async fn perform(&mut self, act: Act, now: &Report, live: bool) -> Result<(), BoxError> {
        let text = match act {
            Act::KillProvider => {
                let (name, member, _) = &mut self.providers[1];
                if let Some(member) = member.take() {
                    member.kill().await?;
                }
                let (begun, ended) = ledger::read(&self.ledgers[1].1)?;
                self.in_flight_at_kill = begun - ended;
                format!("kill -9 provider {name}, {} calls in flight there", begun - ended)
            }
            Act::KillRegistry | Act::ReviveRegistry if self.registry_port.is_none() => {
                return Ok(());
            }
            Act::KillRegistry => {
                if let Some((member, _)) = self.registry.take() {
                    member.kill().await?;
                }
                self.without_registry = (now.succeeded, now.succeeded);
                "kill -9 registry".to_owned()
            }
            Act::ReviveRegistry => {
                self.without_registry.1 = now.succeeded;
                let port = self.registry_port.unwrap_or_default();
                self.registry = Some(self.fleet.registry(port).await?);
                "registry is back".to_owned()
            }
            Act::ReviveProvider => {
                let (name, _, port) = &self.providers[1];
                let (name, port) = (name.clone(), *port);
                let (member, _) = self.start_provider(&name, port).await?;
                self.providers[1].1 = Some(member);
                format!("provider {name} is back")
            }
        };
        say(&format!("{}>>> {text}", if live { "\r\x1b[K" } else { "" }))?;
        Ok(())
    }

    async fn close(&mut self) -> Result<(), BoxError> {
        for (_, member, _) in &mut self.providers {
            if let Some(member) = member {
                member.tell_to_end();
            }
        }
        for (_, member, _) in &mut self.providers {
            if let Some(member) = member.take() {
                member.end().await?;
            }
        }
        match self.registry.take() {
            Some((member, _)) => member.end().await,
            None => Ok(()),
        }
    }

    /// Whether the provider that was brought back has answered calls in its second life.
    fn revived_served(&self) -> Result<bool, BoxError> {
        Ok(match self.ledgers.get(3) {
            Some((_, path)) => ledger::read(path)?.1 > 0,
            None => false,
        })
    }

    /// Prints who served what and the four figures that must hold; `true` if they do.
    fn judge(&self, last: &Report) -> Result<bool, BoxError> {
        let mut begun = BTreeMap::<&str, u64>::new();
        for (name, path) in &self.ledgers {
            *begun.entry(name).or_default() += ledger::read(path)?.0;
        }
        say("\nprovider     answered   executed")?;
        for (name, executed) in &begun {
            let answered = last.by_provider.get(*name).copied().unwrap_or(0);
            say(&format!("{name:<8} {answered:>12} {executed:>10}"))?;
        }
        let executed: u64 = begun.values().sum();
        let alone = self.without_registry.1 - self.without_registry.0;
        say(&format!("calls in flight at the killed provider  {}", self.in_flight_at_kill))?;
        say(&format!("calls sent again                        {}", last.resent))?;
        if self.registry_port.is_some() {
            say(&format!("calls while the registry was dead       {alone}"))?;
        }
        say(&format!("executions counted by the providers     {executed}"))?;
        if let Some(failure) = &last.first_failure {
            say(&format!("first failure: {failure}"))?;
        }
        // Callers are in step at times, so that none is being served in the moment of the kill: what was
        // sent again tells that it hit calls.
        let held = last.resent > 0
            && (self.registry_port.is_none() || alone > 0 && self.was_kept)
            && executed >= last.issued
            && self.revived_served()?
            && last.issued == last.succeeded + last.failed;
        say(&format!("quickstart: {} calls, {} failed", last.issued, last.failed))?;
        if !held {
            say("quickstart: the faults did not happen as they should have, see the figures")?;
        }
        Ok(held && last.failed == 0 && last.issued > 0)
    }
}

fn show(report: &Report, last: &Report, began: Instant, terminal: bool) -> Result<(), BoxError> {
    let rate = (report.succeeded - last.succeeded) * 4;
    let mut who = String::new();
    for (name, count) in &report.by_provider {
        let new = count - last.by_provider.get(name).copied().unwrap_or(0);
        let share = new * 100 / (report.succeeded - last.succeeded).max(1);
        who.push_str(&format!("  {name} {share:>3} %"));
    }
    let line = format!(
        "{:>5.1} s {:>8} calls {:>7}/s  p50 {:>5} us  p99 {:>6} us{who}  list: {}",
        began.elapsed().as_secs_f64(),
        report.issued,
        rate,
        report.p50,
        report.p99,
        report.list,
    );
    if !terminal {
        return say(&line);
    }
    print!("\r\x1b[K{line}");
    Ok(std::io::stdout().flush()?)
}

/// Prints a line. Who reads only the beginning has seen enough: the fleet ends too.
fn say(line: &str) -> Result<(), BoxError> {
    let said = writeln!(std::io::stdout(), "{line}");
    said.map_err(|_| "nobody reads on, so it ended early".into())
}
