//! Ports that nobody uses.

use std::net::TcpListener;

/// `N` ports of loopback that are free at this moment, all different.
///
/// # Panics
/// Loopback has no port left.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    // Held until all are chosen, else one could be chosen twice.
    let held: [TcpListener; N] = std::array::from_fn(|_| {
        TcpListener::bind("127.0.0.1:0").expect("loopback has a free port")
    });
    held.map(|listener| listener.local_addr().expect("it is bound").port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_free_and_all_different() {
        let mut ports = free_ports::<8>();
        ports.sort_unstable();
        assert!(ports.windows(2).all(|pair| pair[0] != pair[1]), "{ports:?}");
        TcpListener::bind(("127.0.0.1", ports[0])).unwrap();
    }
}
