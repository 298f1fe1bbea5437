//! Real servers for tests: each on free ports of loopback, with data of its own, ended by process id.
//!
//! A server that is not installed is a loud skip for a person, and a failure where `CI` is set.

mod by_hand;
mod certificates;
mod dnsmasq;
mod etcd;
mod nacos;
mod ports;
mod process;
mod secure;
mod zookeeper;

pub use self::by_hand::{EtcdHand, KeptNode, ZooKeeperHand};
pub use self::certificates::{CertificateAuthority, CertificateFiles, CertificateWish};
pub use self::dnsmasq::Dnsmasq;
pub use self::etcd::EtcdServer;
pub use self::nacos::{Nacos, NacosVersion, nacos_http};
pub use self::ports::free_ports;
pub use self::process::{Process, installed, is_ci};
pub use self::secure::SecureServer;
pub use self::zookeeper::{ZooKeeperEnsemble, ZooKeeperServer};
