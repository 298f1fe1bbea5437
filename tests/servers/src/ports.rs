//! Ports that nobody uses, and that nobody is given while the server is down that has one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;
use std::ops::Range;
use std::sync::{LazyLock, Mutex, PoisonError};

/// The first port that is chosen.
const FIRST: u16 = 10_000;

/// How many ports there must be at least that the system does not hand out, for all tests that run at a time.
const FEWEST: u16 = 2000;

/// The first port that Linux gives to who does not ask for one, where it does not tell.
const FIRST_OF_SYSTEM: u16 = 32_768;

/// How many ports above one that is chosen are not the system's either: Nacos takes some there.
const ROOM: u16 = 1001;

/// What holds a port for this process.
#[cfg(target_os = "linux")]
type Claim = std::os::unix::net::UnixListener;
#[cfg(not(target_os = "linux"))]
type Claim = ();

/// The ports of this process.
static OURS: LazyLock<Mutex<HashMap<u16, Claim>>> = LazyLock::new(Mutex::default);

/// `N` ports of loopback that are free, all different.
///
/// They stay with this process: no other one is given them by this, and none by the system, which hands out others.
/// So a server that is killed finds its port free when it comes back. Where the system hands out all that there are,
/// these are some of those.
///
/// # Panics
/// No port is left.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    std::array::from_fn(|_| free_port())
}

fn free_port() -> u16 {
    let Some(Range { start: first, end }) = ports_below(first_of_system()) else {
        return port_of_system();
    };
    // Others begin elsewhere.
    let hash = RandomState::new().hash_one(()) % u64::from(end - first);
    let start = first + u16::try_from(hash).expect("it is less than a port");
    let mut ports = (start..end).chain(first..start);
    ports.find(|port| take_port(*port)).expect("loopback has a free port")
}

/// The ports to choose from, if the system hands out those from `first_of_system` on; `None` if they are too few.
fn ports_below(first_of_system: u16) -> Option<Range<u16>> {
    let end = first_of_system.saturating_sub(ROOM);
    (end >= FIRST + FEWEST).then_some(FIRST..end)
}

fn port_of_system() -> u16 {
    let bind = || TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let mut ports = std::iter::repeat_with(|| bind().expect("loopback has a free port").port());
    ports.find(|port| take_port(*port)).expect("it goes on for ever")
}

/// Takes this port if it is free; says whether it was.
pub(crate) fn take_port(port: u16) -> bool {
    let mut ours = OURS.lock().unwrap_or_else(PoisonError::into_inner);
    if ours.contains_key(&port) {
        return false;
    }
    let Some(claim) = claim(port) else { return false };
    let is_free = TcpListener::bind(("127.0.0.1", port)).is_ok();
    if is_free {
        ours.insert(port, claim);
    }
    is_free
}

/// Claims the port before all who ask this; `None` if another one has. The system takes it back when the process ends,
/// and it holds in the namespace of networks, as the port does.
#[cfg(target_os = "linux")]
fn claim(port: u16) -> Option<Claim> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;
    let name = SocketAddr::from_abstract_name(format!("dubhe-port-{port}")).ok()?;
    Claim::bind_addr(&name).ok()
}

#[cfg(not(target_os = "linux"))]
fn claim(_port: u16) -> Option<Claim> {
    Some(())
}

/// The first port that the system gives to who does not ask for one, such as to each client.
fn first_of_system() -> u16 {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = range.ok().and_then(|range| range.split_whitespace().next()?.parse().ok());
    first.unwrap_or(FIRST_OF_SYSTEM)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Has the test below say whether it can take a port, in a process of its own.
    const PORT: &str = "DUBHE_TEST_PORT";

    #[test]
    fn ports_are_free_and_all_different() {
        let mut ports = free_ports::<8>();
        ports.sort_unstable();
        assert!(ports.windows(2).all(|pair| pair[0] != pair[1]), "{ports:?}");
        TcpListener::bind(("127.0.0.1", ports[0])).unwrap();
    }

    #[test]
    fn a_port_of_a_server_that_is_down_is_given_to_nobody_else() {
        let [port] = free_ports();
        assert!(port < first_of_system(), "the system may give it to any client");
        assert!(!take_port(port), "it is given twice");
    }

    #[test]
    fn neither_a_port_nor_what_nacos_takes_above_it_is_the_systems() {
        let nacos = 1000;
        for first_of_system in [32_768, 49_152] {
            let last = ports_below(first_of_system).unwrap().next_back().unwrap();
            assert!(last + nacos < first_of_system, "{last} of those below {first_of_system}");
        }
        assert_eq!([0, 1024, 12_000].map(ports_below), [const { None }; 3], "they are too few");
    }

    #[test]
    fn a_port_that_another_program_listens_at_is_not_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!take_port(port), "port {port} is in use");
        assert!(!OURS.lock().unwrap().contains_key(&port));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn no_other_process_takes_a_port() {
        if let Ok(port) = std::env::var(PORT) {
            assert!(take_port(port.parse().unwrap()));
            return;
        }
        let [port] = free_ports();
        let name = "ports::tests::no_other_process_takes_a_port";
        let takes = |port: u16| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", name]).env(PORT, port.to_string());
            command.output().unwrap().status.success()
        };
        assert!(!takes(port), "another process has port {port}, too");
        let claim = OURS.lock().unwrap().remove(&port);
        drop(claim);
        assert!(takes(port), "nobody can take port {port} once it is not ours");
    }
}
