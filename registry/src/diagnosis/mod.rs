//! Looks at a registry from this machine, step by step, for people who ask why something does not work.
//!
//! Each server is looked at alone, all at the same time: its name, its port, a session with it. Then one
//! session is opened as a consumer opens it, and what stands in the registry is looked at. A step whose
//! condition fails is skipped and says so. Every step has a deadline; a registry that is dead takes less
//! than ten seconds.
//!
//! | file | what it looks at |
//! | --- | --- |
//! | `reach.rs` | name and port of an address |
//! | `stranger.rs` | what speaks on a port, if it is not what was looked for |
//! | `clock.rs` | how far another clock is from ours |
//! | `http.rs` | a page of a server, whose head has the time |

mod clock;
#[cfg(any(feature = "etcd", feature = "nacos"))]
mod http;
mod reach;
mod stranger;

use std::time::Duration;

use futures_util::future::join_all;
use rpc_core::Error;
use tokio::time::{Instant, timeout};

pub(crate) use self::clock::ToldTime;
#[cfg(any(feature = "etcd", feature = "nacos"))]
pub(crate) use self::http::page;
pub use self::reach::reach;
use self::stranger::who_answers;
use crate::backend::{Backend, Demand};
use crate::check::Diagnosis;

/// How long one server may take to open a session and to tell of itself.
const EXAMINE: Duration = Duration::from_secs(4);

/// How long the session of the whole registry may take to open.
const OPEN: Duration = Duration::from_secs(3);

/// How long what stands in the registry may take to be read.
const SURVEY: Duration = Duration::from_secs(4);

/// How long the end of a session may take.
const END: Duration = Duration::from_millis(500);

/// What helps if the registry does not let us in, or we cannot present ourselves.
const OTHER_LOGIN: &str = "correct what the cause names: user and password in the address or \
                           registry.token, what this user may do there, or the files of TLS";

/// Looks at the registry behind `backend`.
pub(crate) async fn diagnose(backend: &dyn Backend) -> Vec<Diagnosis> {
    let (address, servers) = (backend.address(), backend.servers());
    let looks = servers.iter().map(|server| look_at(backend, &address, server));
    let mut found = join_all(looks).await;
    let is_open =
        found.is_empty() || found.iter().any(|of_one| !of_one.iter().any(Diagnosis::has_failed));
    let mut found: Vec<Diagnosis> = found.drain(..).flatten().collect();
    if !is_open {
        let why = "no server opens a session";
        found.push(Diagnosis::skip("session", &address, why));
        found.push(Diagnosis::skip("layout", &address, why));
        return found;
    }
    found.extend(look_inside(backend, &address).await);
    found
}

/// Looks at one server.
async fn look_at(backend: &dyn Backend, registry: &str, server: &str) -> Vec<Diagnosis> {
    let mut found = reach(server).await;
    if found.iter().any(Diagnosis::has_failed) {
        found.push(Diagnosis::skip("server", server, "it is not reached"));
        return found;
    }
    match timeout(EXAMINE, backend.examine(server)).await {
        Ok(Ok(more)) => found.extend(more),
        Ok(Err(error)) => found.push(refused_or_foreign(registry, server, &error).await),
        Err(_) => {
            let seen = format!("it accepts, and opens no session within {EXAMINE:?}");
            let silent = "see whether the server is stopped, overloaded or without its ensemble, \
                          and whether the port is that of the registry";
            let remedy = who_answers(server).await.map(|stranger| stranger.to_string());
            let remedy = remedy.unwrap_or_else(|| silent.to_owned());
            found.push(Diagnosis::fail("server", server, seen, remedy));
        }
    }
    found
}

/// Why a server that accepts opens no session.
async fn refused_or_foreign(registry: &str, server: &str, error: &Error) -> Diagnosis {
    if error.is_refused() {
        return Diagnosis::of_error("login", server, (registry, error), OTHER_LOGIN);
    }
    let remedy = match who_answers(server).await {
        Some(stranger) => stranger.to_string(),
        None => "correct host and port, or see the log of the server".to_owned(),
    };
    Diagnosis::of_error("server", server, (registry, error), &remedy)
}

/// Opens a session as a consumer does, and looks at what stands in the registry.
async fn look_inside(backend: &dyn Backend, registry: &str) -> Vec<Diagnosis> {
    let begun = Instant::now();
    let opened = timeout(OPEN, backend.connect(&Demand { provides: false })).await;
    let skipped = |why| Diagnosis::skip("layout", registry, why);
    let session = match opened {
        Ok(Ok(session)) => session,
        Ok(Err(error)) => {
            let (check, remedy) = match error.is_refused() {
                true => ("login", OTHER_LOGIN),
                false => ("session", "do what the cause says, and see the log of the registry"),
            };
            let failed = Diagnosis::of_error(check, registry, (registry, &error), remedy);
            return vec![failed, skipped("there is no session")];
        }
        Err(_) => {
            let seen = format!("none is opened within {OPEN:?}");
            let remedy = "see whether the registry is overloaded, or the way to it slow";
            let failed = Diagnosis::fail("session", registry, seen, remedy);
            return vec![failed, skipped("there is no session")];
        }
    };
    let took = show_ms(begun.elapsed());
    let mut found = vec![Diagnosis::ok("session", registry, format!("opened in {took}"))];
    // Some sessions are driven by who waits for their end.
    let surveying = async {
        tokio::select! {
            biased;
            surveyed = session.survey() => surveyed,
            () = session.closed() => {
                let ended = || Error::unreachable("the session has ended");
                Err(session.reason().unwrap_or_else(ended))
            }
        }
    };
    let surveyed = timeout(SURVEY, surveying).await;
    // What is left of it ends later by itself.
    let _ = timeout(END, session.end()).await;
    match surveyed {
        Ok(Ok(more)) => found.extend(more),
        Ok(Err(error)) if error.is_refused() => {
            found.push(Diagnosis::of_error("login", registry, (registry, &error), OTHER_LOGIN));
        }
        Ok(Err(error)) => {
            let remedy = "do what the cause says, and see the log of the registry";
            found.push(Diagnosis::of_error("layout", registry, (registry, &error), remedy));
        }
        Err(_) => {
            let seen = format!("not read within {SURVEY:?}");
            let remedy = "a registry that holds very much takes longer: `dubhe ls` waits for it";
            found.push(Diagnosis::warn("layout", registry, seen, remedy));
        }
    }
    found
}

/// A time that a step took.
pub(crate) fn show_ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
