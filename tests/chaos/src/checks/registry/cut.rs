//! Providers that are cut off from the registry, and from nobody else.
//!
//! They reach it by an address of their own, which rules of nftables lead to it until they drop all that
//! goes there. The rules are in a network namespace of this program's own: nothing outside is touched.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::Instant;

use super::super::{pass, seconds};
use super::kind::Kind;
use super::scene::{Scene, addresses};
use super::server::Server;
use crate::BoxError;
use crate::report::Report;

/// The addresses are other names of the registry's, one for each kind, as several kinds may be tried beside
/// each other; connections to them can be told from others.
const RULES: &str = "table ip chaos {
    set lost { type ipv4_addr; }
    chain way { type nat hook output priority -100; ip daddr 127.0.1.0/24 dnat to 127.0.0.1; }
    chain cut { type filter hook output priority 0; ct original ip daddr @lost drop; }
}";

/// What is told where providers cannot be cut off.
const NO_NAMESPACE: &str = "nobody is cut off: that takes `unshare`, `ip` and `nft`, and a system that lets \
                            programs make network namespaces (Debian: apt install nftables iproute2)";

/// Says to a process that it is in the namespace.
const INSIDE: &str = "CHAOS_NAMESPACE";

/// Puts this program into a namespace of its own and does not return, unless it is there already, or cannot
/// be: checks that need it say so.
pub(crate) fn enter_namespace() -> Result<(), BoxError> {
    if std::env::var_os(INSIDE).is_some() {
        run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
        return nft(RULES);
    }
    let probe = Command::new("unshare").args(["-rn", "nft", "list", "tables"]).output();
    if probe.is_ok_and(|probe| probe.status.success()) {
        use std::os::unix::process::CommandExt as _;
        let mut inside = Command::new("unshare");
        inside.arg("-rn").arg(std::env::current_exe()?).args(std::env::args_os().skip(1));
        return Err(inside.env(INSIDE, "1").exec().into());
    }
    Ok(())
}

/// Whether providers can be cut off.
fn can_cut() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// How providers that can be cut off reach a registry of this kind; all of 127/8 is loopback.
fn way(kind: Kind) -> String {
    format!("127.0.1.{}", kind as u8 + 1)
}

/// Drops whatever goes to the registry by its [`way`], either way, or lets it pass again.
fn cut(kind: Kind, is_cut: bool) -> Result<(), BoxError> {
    let verb = if is_cut { "add" } else { "delete" };
    nft(&format!("{verb} element ip chaos lost {{ {} }}", way(kind)))
}

/// One of three providers is cut off for longer than its session lasts. Consumers reach it all the time.
pub(super) async fn cut_off(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    if !can_cut() {
        report.left_out(NO_NAMESPACE);
        return Ok(());
    }
    let kind = server.kind;
    let by = |number: usize, url: String| if number == 2 { by_way(kind, &url) } else { url };
    let scene = Scene::start(server, 3, quick, by).await?;
    cut(kind, true)?;
    let listed: BTreeSet<_> = addresses(&scene.providers[..2]);
    let gone = scene.observer.becomes(&listed, scene.server.session() * 2).await;
    // Not only has it been silent for so long: its session is over.
    report.note("it is off the list", &format!("{gone:?}"), gone.is_ok());
    pass(Duration::from_secs(3)).await;
    cut(kind, false)?;
    scene.settles(report, Instant::now()).await?;
    scene.observer.fewest();
    pass(seconds(quick, 10, 60)).await;
    report.at_least("shortest list for a minute after that", scene.observer.fewest(), 3);
    scene.end(report).await
}

/// The registry loses sight of half of eight providers, and keeps them.
pub(super) async fn half_lost(
    report: &mut Report,
    server: &mut Server,
    quick: bool,
) -> Result<(), BoxError> {
    if !can_cut() {
        report.left_out(NO_NAMESPACE);
        return Ok(());
    }
    let kind = server.kind;
    let by = |number: usize, url: String| {
        if number.is_multiple_of(2) { by_way(kind, &url) } else { url }
    };
    let scene = Scene::start(server, 8, quick, by).await?;
    scene.observer.fewest();
    let begun = Instant::now();
    cut(kind, true)?;
    let lease = scene.server.session();
    let told = scene.server.says("preserving true", lease * 2).await?;
    report.note("it says that it keeps the silent", &told.to_string(), told);
    // The lease, and a sweep each second from then on.
    report.at_most("until it did", begun.elapsed(), lease + Duration::from_secs(2));
    pass(lease).await;
    // A sweep may take 15 %, one of eight, before it sees how many are silent.
    report.at_least("shortest list meanwhile", scene.observer.fewest(), 7);
    cut(kind, false)?;
    scene.settles(report, Instant::now()).await?;
    let over = scene.server.says("preserving false", lease).await?;
    report.note("it says that this is over", &over.to_string(), over);
    scene.end(report).await
}

/// The address that can be cut off.
fn by_way(kind: Kind, url: &str) -> String {
    url.replace("127.0.0.1", &way(kind))
}

fn nft(rules: &str) -> Result<(), BoxError> {
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn()?;
    let mut input = nft.stdin.take().ok_or("a child has no standard input")?;
    input.write_all(rules.as_bytes())?;
    drop(input);
    let status = nft.wait()?;
    if status.success() { Ok(()) } else { Err(format!("nft refuses {rules}").into()) }
}

fn run(command: &mut Command) -> Result<(), BoxError> {
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
