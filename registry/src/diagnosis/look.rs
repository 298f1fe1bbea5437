//! A look at one registry: each of its servers, then what stands in it, all within one deadline.

use std::time::Duration;

use futures_util::future::join_all;
use rpc_core::Error;
use tokio::time::{Instant, timeout};

use super::reach::reach;
use super::show_ms;
use super::stranger::who_answers;
use crate::backend::{Backend, Demand, Session};
use crate::check::Diagnosis;

/// How long everything together may take, but for the end of a session.
const WHOLE: Duration = Duration::from_secs(9);

/// How long one server may take to open a session and to tell of itself.
const EXAMINE: Duration = Duration::from_secs(4);

/// How long a server that opened no session may take to say that it is one of the registry.
const RECOGNIZE: Duration = Duration::from_secs(1);

/// How long the session of the whole registry may take to open.
const OPEN: Duration = Duration::from_secs(3);

/// How long what stands in the registry may take to be read.
const SURVEY: Duration = Duration::from_secs(4);

/// How long the end of a session may take.
const END: Duration = Duration::from_millis(500);

/// What helps if the registry does not let us in, or we cannot present ourselves.
const OTHER_LOGIN: &str = "correct what the cause names: user and password in the address or \
                           registry.token, what this user may do there, or the files of TLS";

/// A look at a registry, and when it is over.
struct Look<'a> {
    backend: &'a dyn Backend,
    address: String,
    end: Instant,
}

/// Looks at the registry behind `backend`. Takes 9.5 s at most.
pub(crate) async fn diagnose(backend: &dyn Backend) -> Vec<Diagnosis> {
    let look = Look { backend, address: backend.address(), end: Instant::now() + WHOLE };
    look.whole().await
}

impl Look<'_> {
    async fn whole(&self) -> Vec<Diagnosis> {
        let servers = self.backend.servers();
        let looks = servers.iter().map(async |server| match self.backend.unneeded(server) {
            None => self.look_at(server).await,
            Some(why) => {
                let seen = self.look_at(server).await;
                seen.into_iter().map(|seen| seen.no_failure(&why)).collect()
            }
        });
        let found = join_all(looks).await;
        let needed = servers.iter().zip(&found);
        let mut needed = needed.filter(|(server, _)| self.backend.unneeded(server).is_none());
        let is_open =
            found.is_empty() || needed.any(|(_, of_one)| !of_one.iter().any(Diagnosis::has_failed));
        let mut found = found.concat();
        found.extend(match is_open {
            true => self.look_inside().await,
            false => self.not_inside("no server opens a session"),
        });
        found
    }

    /// The time of a step that may take so long: what is left, if that is less.
    fn time_for(&self, step: Duration) -> Duration {
        step.min(self.end.saturating_duration_since(Instant::now()))
    }

    fn not_inside(&self, why: &str) -> Vec<Diagnosis> {
        ["session", "layout"].map(|check| Diagnosis::skip(check, &self.address, why)).into()
    }

    /// Looks at one server.
    async fn look_at(&self, server: &str) -> Vec<Diagnosis> {
        let mut found = reach(server).await;
        if found.iter().any(Diagnosis::has_failed) {
            found.push(Diagnosis::skip("server", server, "it is not reached"));
            return found;
        }
        let time = self.time_for(EXAMINE);
        match timeout(time, self.backend.examine(server)).await {
            Ok(Ok(more)) => found.extend(more),
            Ok(Err(error)) if error.is_refused() => {
                let registry = (&*self.address, &error);
                found.push(Diagnosis::of_error("login", server, registry, OTHER_LOGIN));
            }
            Ok(Err(error)) => {
                let remedy = "correct host and port, or see the log of the server";
                let registry = (&*self.address, &error);
                let failed = Diagnosis::of_error("server", server, registry, remedy);
                found.push(self.named(failed, server).await);
            }
            Err(_) => {
                let seen = format!("it accepts, and opens no session within {}", show(time));
                let remedy = "see whether the server is stopped, overloaded or without its ensemble, \
                              and whether the port is that of the registry";
                let failed = Diagnosis::fail("server", server, seen, remedy);
                found.push(self.named(failed, server).await);
            }
        }
        found
    }

    /// The failure of a server that accepts, with what answers there, if that can be told.
    async fn named(&self, mut failed: Diagnosis, server: &str) -> Diagnosis {
        let own = timeout(self.time_for(RECOGNIZE), self.backend.recognize(server));
        let (own, stranger) = tokio::join!(own, who_answers(server));
        match (own.ok().flatten(), stranger) {
            (Some(own), _) => {
                failed.seen = format!("{}; what answers is {}", failed.seen, own.seen);
                failed.remedy = own.remedy.or(failed.remedy);
            }
            (None, Some(stranger)) => failed.remedy = Some(stranger.to_string()),
            (None, None) => {}
        }
        failed
    }

    /// Opens a session as a consumer does, and looks at what stands in the registry.
    async fn look_inside(&self) -> Vec<Diagnosis> {
        let (registry, begun) = (&*self.address, Instant::now());
        let skipped = |why| Diagnosis::skip("layout", registry, why);
        let time = self.time_for(OPEN);
        if time.is_zero() {
            return self.not_inside("the servers took all the time there is");
        }
        let session = match timeout(time, self.backend.connect(&Demand { provides: false })).await {
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
                let seen = format!("none is opened within {}", show(time));
                let remedy = "see whether the registry is overloaded, or the way to it slow";
                let failed = Diagnosis::fail("session", registry, seen, remedy);
                return vec![failed, skipped("there is no session")];
            }
        };
        let took = show_ms(begun.elapsed());
        let mut found = vec![Diagnosis::ok("session", registry, format!("opened in {took}"))];
        found.extend(self.survey(&*session).await);
        // What is left of it ends later by itself.
        let _ = timeout(END, session.end()).await;
        found
    }

    /// What stands in the registry.
    async fn survey(&self, session: &dyn Session) -> Vec<Diagnosis> {
        let registry = &*self.address;
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
        let time = self.time_for(SURVEY);
        match timeout(time, surveying).await {
            Ok(Ok(more)) => more,
            Ok(Err(error)) if error.is_refused() => {
                vec![Diagnosis::of_error("login", registry, (registry, &error), OTHER_LOGIN)]
            }
            Ok(Err(error)) => {
                let remedy = "do what the cause says, and see the log of the registry";
                vec![Diagnosis::of_error("layout", registry, (registry, &error), remedy)]
            }
            Err(_) => {
                let seen = format!("not read within {}", show(time));
                let remedy =
                    "a registry that holds very much takes longer: `dubhe ls` waits for it";
                vec![Diagnosis::warn("layout", registry, seen, remedy)]
            }
        }
    }
}

/// How long was waited.
fn show(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use rpc_core::{Instance, ServiceKey};
    use tokio::time::sleep;

    use super::*;
    use crate::backend::{Listing, Updates};

    /// A registry in which everything comes at the last moment: no step passes its own limit.
    #[derive(Debug, Clone)]
    struct Slow {
        server: String,
        opens: bool,
    }

    #[async_trait]
    impl Backend for Slow {
        fn address(&self) -> String {
            "slow://".to_owned()
        }

        fn servers(&self) -> Vec<String> {
            vec![self.server.clone()]
        }

        async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
            sleep(OPEN - Duration::from_millis(100)).await;
            Ok(Arc::new(self.clone()))
        }

        async fn examine(&self, _: &str) -> Result<Vec<Diagnosis>, Error> {
            match self.opens {
                true => sleep(EXAMINE - Duration::from_millis(100)).await,
                false => std::future::pending().await,
            }
            Ok(Vec::new())
        }

        async fn recognize(&self, _: &str) -> Option<Diagnosis> {
            std::future::pending().await
        }
    }

    #[async_trait]
    impl Session for Slow {
        async fn register(&self, _: &Instance) -> Result<(), Error> {
            Ok(())
        }

        async fn unregister(&self, _: &Instance) -> Result<(), Error> {
            Ok(())
        }

        async fn watch(&self, _: &ServiceKey, _: &Updates) -> Result<(), Error> {
            std::future::pending().await
        }

        async fn fetch(&self, _: &ServiceKey) -> Result<Listing, Error> {
            Ok(Listing::default())
        }

        async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
            Ok(Vec::new())
        }

        async fn survey(&self) -> Result<Vec<Diagnosis>, Error> {
            sleep(SURVEY - Duration::from_millis(100)).await;
            Ok(Vec::new())
        }

        async fn closed(&self) {
            std::future::pending().await
        }

        async fn end(&self) {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_a_registry_does_it_takes_less_than_ten_seconds() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap().to_string();
        for (opens, expected) in [(true, "not read within 2.2 s"), (false, "within 4.0 s")] {
            let begun = Instant::now();
            let found = diagnose(&Slow { server: server.clone(), opens }).await;
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(10), "{took:?}");
            assert!(found.iter().any(|found| found.seen.contains(expected)), "{found:#?}");
        }
    }
}
