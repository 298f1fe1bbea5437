//! What one server of ZooKeeper tells of itself: its version and its part, and the clock of its ensemble.

use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::client::OpFailure;
use super::dial::Servers;
use super::message::{ANY_VERSION, NewNode, NodeAccess, ServerCode};
use super::tree::ZooKeeperTree;
use crate::check::Diagnosis;
use crate::diagnosis::{ToldTime, show_ms};
use crate::sound;
use crate::tls::{self, TlsSettings};

/// How long the answer to `srvr` may take.
const LIMIT: Duration = Duration::from_millis(500);

/// The most of that answer that is read.
const MOST: u64 = 4096;

/// Asks `server`, with which `tree` has a session that took this long to open.
pub(super) async fn examine(
    tree: &ZooKeeperTree,
    server: &str,
    servers: &Servers,
    took: Duration,
) -> Vec<Diagnosis> {
    let asked = timeout(LIMIT, srvr(server, servers.tls())).await.ok().flatten();
    let told = asked.as_deref().map(described).filter(|told| !told.is_empty());
    let told = told.unwrap_or_else(|| "which does not tell more (srvr is not allowed)".to_owned());
    let server_is = format!("ZooKeeper {told}, a session in {}", show_ms(took));
    // The servers take every login; what it is worth shows at nodes, and the root is readable.
    let login = match servers.has_credentials() {
        true => "user and password are taken; the root can be read",
        false => "none; the root can be read",
    };
    let asked = SystemTime::now();
    let clock = match server_ms(tree).await {
        Ok(ms) => ToldTime::of_ms(asked, ms).diagnosis(server),
        Err(failure) => {
            let why = match failure.code() {
                Some(ServerCode::NoAuth) => "we may not make a node beside the root",
                Some(ServerCode::NoNode) => "there is nothing under the chroot yet",
                _ => "no node can be made beside the root",
            };
            Diagnosis::skip("clock", server, format!("a node would tell it, and {why}"))
        }
    };
    vec![Diagnosis::ok("server", server, server_is), Diagnosis::ok("login", server, login), clock]
}

/// When the server that leads says it is, in milliseconds since 1970: makes a node that ends with the
/// session, reads when that was, and removes it.
async fn server_ms(tree: &ZooKeeperTree) -> Result<u64, OpFailure> {
    let path = tree.full(&format!("/dubhe-clock-{:016x}", rand::random::<u64>()));
    let client = tree.client();
    // Nothing is in it, and nobody is asked whether it may be removed.
    let access = NodeAccess::Open;
    client.create(NewNode { path: &path, value: &[], is_owned: true, access }).await?;
    let read = client.get(&path).await;
    client.delete(&path, ANY_VERSION).await?;
    let changed_ms = read?.map_or(0, |(_, stat)| stat.changed_ms);
    Ok(u64::try_from(changed_ms).unwrap_or_default())
}

/// The answer to the command `srvr`, which servers allow unless they are told otherwise.
async fn srvr(server: &str, tls: Option<&TlsSettings>) -> Option<String> {
    let mut stream = tls::connect(server, tls, &[]).await.ok()?;
    stream.write_all(b"srvr").await.ok()?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await.ok()?;
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// Version and part of a server, from its answer.
fn described(answer: &str) -> String {
    let value =
        |key: &str| answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    let version = value("Zookeeper version").and_then(|version| version.split(['-', ',']).next());
    let told: Vec<String> = version.into_iter().chain(value("Mode")).map(sound::plain).collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_and_part_are_read_of_what_srvr_answers() {
        let answer = "Zookeeper version: 3.8.0-5a02a05edd, built on 2022-03-12\nLatency: 0/0/0\nMode: follower\n";
        assert_eq!(described(answer), "3.8.0, follower");
        assert_eq!(described("srvr is not executed because it is not in the whitelist."), "");
    }
}
