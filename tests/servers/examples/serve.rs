//! A registry server for trying things out: `cargo run -p dubhe-servers --example serve -- zookeeper`.
//!
//! Prints `ready URL` and serves until its input ends (Ctrl-D). Its data goes with it. Without the server on
//! this machine it says what to install, and ends.

use std::io::Read as _;
use std::process::ExitCode;

use dubhe_servers::{EtcdServer, Nacos, NacosVersion, ZooKeeperServer};

const USAGE: &str =
    "usage: serve etcd|zookeeper|nacos2|nacos3   (those of Nacos: cargo xtask nacos)";

fn main() -> ExitCode {
    let mut names = std::env::args().skip(1);
    let (Some(name), None) = (names.next(), names.next()) else { return told_wrong() };
    match &*name {
        "etcd" => serve(EtcdServer::start(), |server| format!("etcd://{}", server.address())),
        "zookeeper" => {
            serve(ZooKeeperServer::start(), |server| format!("zookeeper://{}", server.address()))
        }
        "nacos2" => serve(Nacos::start(NacosVersion::Two), nacos_url),
        "nacos3" => serve(Nacos::start(NacosVersion::Three), nacos_url),
        _ => return told_wrong(),
    }
    ExitCode::SUCCESS
}

fn nacos_url(server: &Nacos) -> String {
    format!("nacos://{}", server.address())
}

fn serve<T>(server: Option<T>, url: impl Fn(&T) -> String) {
    if let Some(server) = server {
        println!("ready {}", url(&server));
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }
}

fn told_wrong() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
