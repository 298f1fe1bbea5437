//! Ways to a registry that can be cut off or broken, by rules of nftables.
//!
//! The rules are in a network namespace of this program's own: nothing outside is touched.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::pass;
use super::kind::Kind;
use crate::BoxError;
use crate::report::Report;

/// The addresses are other names of the registry's, one for each kind, as several kinds are tried beside
/// each other; connections to them can be told from others.
const RULES: &str = "table ip chaos {
    set lost { type ipv4_addr; }
    set broken { type ipv4_addr; }
    chain way { type nat hook output priority -100; ip daddr 127.0.1.0/24 dnat to 127.0.0.1; }
    chain cut {
        type filter hook output priority 0;
        ct original ip daddr @lost drop;
        ct original ip daddr @broken meta l4proto tcp reject with tcp reset;
    }
}";

/// What is told where there is no way that can be cut off.
const NO_NAMESPACE: &str = "nobody is cut off: that takes `unshare`, `ip` and `nft`, and a system that lets \
                            programs make network namespaces (Debian: apt install nftables iproute2)";

/// Says to a process that it is in the namespace.
const INSIDE: &str = "CHAOS_NAMESPACE";

/// For how long connections break: whoever says something meanwhile hears that his has ended.
const BROKEN: Duration = Duration::from_millis(300);

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

/// Whether there are such ways; that there are none is told.
pub(super) fn can_cut(report: &mut Report) -> bool {
    let can_cut = std::env::var_os(INSIDE).is_some();
    if !can_cut {
        report.left_out(NO_NAMESPACE);
    }
    can_cut
}

/// The same registry by the way that can be cut off.
pub(super) fn by_way(kind: Kind, url: &str) -> String {
    url.replace("127.0.0.1", &way(kind))
}

/// Drops whatever goes by the way, in either direction, or lets it pass again. Nacos 2.2.4 keeps connections on
/// which nothing comes, so there each side is told that the other has gone.
pub(super) fn cut(kind: Kind, is_cut: bool) -> Result<(), BoxError> {
    let how = if kind == Kind::Nacos2 { "broken" } else { "lost" };
    set(how, kind, is_cut)
}

/// Resets the connections that go by the way.
pub(super) async fn reset(kind: Kind) -> Result<(), BoxError> {
    set("broken", kind, true)?;
    pass(BROKEN).await;
    set("broken", kind, false)
}

/// All of 127/8 is loopback.
fn way(kind: Kind) -> String {
    format!("127.0.1.{}", kind as u8 + 1)
}

fn set(name: &str, kind: Kind, is_in: bool) -> Result<(), BoxError> {
    let verb = if is_in { "add" } else { "delete" };
    nft(&format!("{verb} element ip chaos {name} {{ {} }}", way(kind)))
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
