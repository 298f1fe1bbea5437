//! Whether an address can be reached: its name, and its port.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};

use super::show_ms;
use crate::check::Diagnosis;

/// How long a name may take to be looked up.
const LOOK_UP: Duration = Duration::from_secs(2);

/// How long a port may take to accept.
const ACCEPT: Duration = Duration::from_secs(2);

/// Addresses of one name that are tried.
const MOST: usize = 16;

/// Looks whether `address`, a `host:port`, can be reached from here: whether its name resolves (`name`,
/// left out for IP addresses), and whether its port accepts connections (`port`). Takes 4 s at most;
/// nothing is sent.
///
/// ```
/// # #[tokio::main]
/// # async fn main() -> std::io::Result<()> {
/// let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let seen = dubhe_registry::reach(&listener.local_addr()?.to_string()).await;
/// assert!(seen.iter().all(|seen| !seen.has_failed()));
/// # Ok(())
/// # }
/// ```
///
/// # Cancel safety
/// Dropping the future closes the connections; a look-up of a name goes on in its thread.
pub async fn reach(address: &str) -> Vec<Diagnosis> {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    let is_name = host.trim_matches(['[', ']']).parse::<IpAddr>().is_err();
    let skipped = || Diagnosis::skip("port", address, "its name has no address");
    let remedy = "correct the name, or add it to DNS or to the hosts file of this machine";
    let targets: Vec<SocketAddr> = match timeout(LOOK_UP, lookup_host(address)).await {
        Ok(Ok(found)) => found.take(MOST).collect(),
        Ok(Err(error)) => {
            let seen = format!("cannot be resolved: {error}");
            return vec![Diagnosis::fail("name", host, seen, remedy), skipped()];
        }
        Err(_) => {
            let seen = format!("no name server answers within {LOOK_UP:?}");
            let remedy = "see which name servers this machine uses (/etc/resolv.conf), and \
                          whether they can be reached";
            return vec![Diagnosis::fail("name", host, seen, remedy), skipped()];
        }
    };
    if targets.is_empty() {
        return vec![Diagnosis::fail("name", host, "has no address", remedy), skipped()];
    }
    let mut found = Vec::new();
    if is_name {
        let shown: Vec<String> = targets.iter().map(|target| target.ip().to_string()).collect();
        found.push(Diagnosis::ok("name", host, shown.join(", ")));
    }
    found.push(port(address, &targets).await);
    found
}

/// Whether the port accepts, at any of the addresses of its name.
async fn port(address: &str, targets: &[SocketAddr]) -> Diagnosis {
    let begun = Instant::now();
    let tries = targets.iter().map(async |target| {
        match timeout(ACCEPT, TcpStream::connect(target)).await {
            Ok(Ok(_)) => Ok(begun.elapsed()),
            Ok(Err(error)) => Err((target, Closed::of(&error))),
            Err(_) => Err((target, Closed::Silent)),
        }
    });
    let (mut accepted, mut closed) = (Vec::new(), Vec::new());
    for tried in join_all(tries).await {
        match tried {
            Ok(took) => accepted.push(took),
            Err(why) => closed.push(why),
        }
    }
    let shown: Vec<String> = match &closed[..] {
        [(_, why)] if targets.len() == 1 => vec![why.show()],
        _ => closed.iter().map(|(at, why)| format!("{}: {}", at.ip(), why.show())).collect(),
    };
    let shown = shown.join("; ");
    let remedy = closed.first().map_or("", |(_, why)| why.remedy());
    match accepted.into_iter().min() {
        None => Diagnosis::fail("port", address, shown, remedy),
        Some(took) if closed.is_empty() => {
            Diagnosis::ok("port", address, format!("accepts, {}", show_ms(took)))
        }
        Some(_) => {
            let seen = format!("accepts at some addresses of its name, not at {shown}");
            Diagnosis::warn("port", address, seen, remedy)
        }
    }
}

/// Why a port does not accept.
enum Closed {
    /// The machine is there, and nothing listens.
    Refused,
    /// Nothing comes back.
    Silent,
    /// There is no way to it, or something on the way says no.
    Unrouted(String),
    /// This machine does not let us.
    Forbidden(String),
    Other(String),
}

impl Closed {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused,
            ErrorKind::TimedOut => Self::Silent,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                Self::Unrouted(error.to_string())
            }
            ErrorKind::PermissionDenied => Self::Forbidden(error.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Refused => "refused: the machine answers, and nothing listens there".to_owned(),
            Self::Silent => format!(
                "no answer within {ACCEPT:?}: what is sent there is lost, as a firewall, a host that \
                 is down and a program that takes no more connections do it"
            ),
            Self::Unrouted(why) => format!("no way leads there: {why}"),
            Self::Forbidden(why) => format!("this machine forbids it: {why}"),
            Self::Other(why) => why.clone(),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Self::Refused => {
                "start what should listen there, have it listen on this address and not on \
                 loopback alone, or correct the port"
            }
            Self::Silent => {
                "correct the host, start it, open the port in the firewalls between, or see whether \
                 it takes connections or hangs (`ss -ltn` over there: Recv-Q at Send-Q)"
            }
            Self::Unrouted(_) => {
                "correct the host, or see the routes of this machine and the firewalls between"
            }
            Self::Forbidden(_) => "see the firewall and the sandbox of this machine",
            Self::Other(_) => "correct the host and the port",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CheckResult;

    fn results(found: &[Diagnosis]) -> Vec<(&'static str, CheckResult)> {
        found.iter().map(|seen| (seen.check, seen.result)).collect()
    }

    #[tokio::test]
    async fn a_name_and_a_port_are_told_apart() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = reach(&format!("127.0.0.1:{port}")).await;
        assert_eq!(results(&open), [("port", CheckResult::Ok)]);
        drop(listener);
        let closed = reach(&format!("127.0.0.1:{port}")).await;
        assert_eq!(results(&closed), [("port", CheckResult::Fail)]);
        assert!(closed[0].seen.contains("nothing listens there"), "{}", closed[0]);
        let unknown = reach("no-such-host.invalid:1").await;
        assert_eq!(results(&unknown), [("name", CheckResult::Fail), ("port", CheckResult::Skip)]);
    }

    #[test]
    fn each_way_to_be_closed_has_its_cause_and_its_remedy() {
        for (kind, seen, remedy) in [
            (ErrorKind::ConnectionRefused, "nothing listens", "start what should listen"),
            (ErrorKind::TimedOut, "no answer within 2s", "firewalls between"),
            (ErrorKind::HostUnreachable, "no way leads there", "routes of this machine"),
            (ErrorKind::NetworkUnreachable, "no way leads there", "routes of this machine"),
            (ErrorKind::PermissionDenied, "this machine forbids it", "sandbox"),
        ] {
            let closed = Closed::of(&kind.into());
            assert!(closed.show().contains(seen), "{}", closed.show());
            assert!(closed.remedy().contains(remedy), "{}", closed.remedy());
        }
    }
}
