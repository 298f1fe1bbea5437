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

/// What a server that opened no session says of itself, if it is ZooKeeper.
pub(super) async fn recognize(server: &str, servers: &Servers) -> Option<Diagnosis> {
    let plain = async {
        match servers.tls() {
            Some(_) => srvr(server, None).await,
            None => None,
        }
    };
    let (asked, plain) =
        tokio::join!(timeout(LIMIT, srvr(server, servers.tls())), timeout(LIMIT, plain));
    let plain = plain.ok().flatten().and_then(|answer| what_it_says(&answer));
    let (seen, remedy) = match plain {
        Some((seen, _)) => (seen, "leave out tls=true, or take its port for TLS"),
        None => what_it_says(&asked.ok().flatten()?)?,
    };
    Some(Diagnosis::fail("server", server, seen, remedy))
}

/// What a server that opens no session says to `srvr`, and what helps; `None` if that is not ZooKeeper.
fn what_it_says(answer: &str) -> Option<(String, &'static str)> {
    let start_most = "start most of its servers, so that they have a leader, and see its log";
    if answer.contains("not currently serving requests") {
        let seen = "ZooKeeper, which does not serve: it is starting, or cut off from its ensemble";
        return Some((seen.to_owned(), start_most));
    }
    if answer.contains("is not executed because it is not in the whitelist") {
        let seen = "ZooKeeper, which does not tell more (srvr is not allowed)".to_owned();
        return Some((seen, "see whether most of its servers run, and its log"));
    }
    let told = Some(described(answer)).filter(|told| !told.is_empty())?;
    let remedy = match told.ends_with("read-only") {
        true => start_most,
        false => {
            "see its log: it may be at a limit of connections (maxClientCnxns), want a login \
             (USER:PASSWORD@ in the address), or have been too slow"
        }
    };
    Some((format!("ZooKeeper {told}"), remedy))
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

    #[test]
    fn a_server_that_opens_no_session_is_known_by_its_words() {
        for (answer, seen, remedy) in [
            (
                "This ZooKeeper instance is not currently serving requests\n",
                "does not serve",
                "start most",
            ),
            (
                "Zookeeper version: 3.8.0-5a, built on 2022-03-12\nMode: read-only\n",
                "3.8.0, read-only",
                "start most",
            ),
            (
                "Zookeeper version: 3.8.0-5a, built on 2022-03-12\nMode: leader\n",
                "3.8.0, leader",
                "maxClientCnxns",
            ),
            ("srvr is not executed because it is not in the whitelist.", "srvr", "its log"),
        ] {
            let (told, helps) = what_it_says(answer).unwrap();
            assert!(told.contains(seen) && helps.contains(remedy), "{told}: {helps}");
        }
        for foreign in ["", "HTTP/1.0 400 Bad Request\r\n\r\n", "-ERR unknown command 'srvr'"] {
            assert_eq!(what_it_says(foreign), None, "{foreign}");
        }
    }
}
