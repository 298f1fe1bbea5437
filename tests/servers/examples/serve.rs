//! A registry server for trying things out: `cargo run -p dubhe-servers --example serve -- zookeeper`.
//!
//! Prints `ready URL` and serves until its input ends (Ctrl-D). Its data goes with it. The line `kill` ends the
//! server at once, and `revive` starts it again on its data. Without the server on this machine it says
//! what to install, and ends.

use std::process::ExitCode;

use dubhe_servers::{EtcdServer, Nacos, NacosVersion, ZooKeeperServer};

const USAGE: &str =
    "usage: serve etcd|zookeeper|nacos2|nacos3   (those of Nacos: cargo xtask nacos)";

fn main() -> ExitCode {
    let mut names = std::env::args().skip(1);
    let (Some(name), None) = (names.next(), names.next()) else { return told_wrong() };
    match &*name {
        "etcd" => serve(EtcdServer::start()),
        "zookeeper" => serve(ZooKeeperServer::start()),
        "nacos2" => serve(Nacos::start(NacosVersion::Two)),
        "nacos3" => serve(Nacos::start(NacosVersion::Three)),
        _ => return told_wrong(),
    }
    ExitCode::SUCCESS
}

/// A server that can be killed and started again.
trait Served {
    fn url(&self) -> String;

    fn kill(&mut self);

    fn revive(&mut self);
}

impl Served for EtcdServer {
    fn url(&self) -> String {
        format!("etcd://{}", self.address())
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn revive(&mut self) {
        self.restart();
    }
}

impl Served for ZooKeeperServer {
    fn url(&self) -> String {
        format!("zookeeper://{}", self.address())
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn revive(&mut self) {
        self.run();
        self.wait_until_ready();
    }
}

impl Served for Nacos {
    fn url(&self) -> String {
        format!("nacos://{}", self.address())
    }

    fn kill(&mut self) {
        Self::kill(self);
    }

    fn revive(&mut self) {
        self.restart();
    }
}

fn serve(server: Option<impl Served>) {
    let Some(mut server) = server else { return };
    println!("ready {}", server.url());
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match &*line {
            "kill" => Served::kill(&mut server),
            "revive" => server.revive(),
            other => eprintln!("`{other}` is neither kill nor revive"),
        }
    }
}

fn told_wrong() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
