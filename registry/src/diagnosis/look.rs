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
        let mut needed = needed.filter(|(server, _)| {
            self.backend.opens_sessions(server) && self.backend.unneeded(server).is_none()
        });
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

    /// Opens a session as a consumer does, apart from those of the registry, and looks at what stands in the registry.
    async fn look_inside(&self) -> Vec<Diagnosis> {
        let (registry, begun) = (&*self.address, Instant::now());
        let skipped = |why| Diagnosis::skip("layout", registry, why);
        let time = self.time_for(OPEN);
        if time.is_zero() {
            return self.not_inside("the servers took all the time there is");
        }
        let session = match timeout(time, self.backend.connect_apart(&Demand::default())).await {
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
    use std::net::TcpListener;
    use std::sync::Arc;

    use async_trait::async_trait;
    use rpc_core::{Instance, ServiceKey};
    use servers::free_ports;
    use tokio::time::sleep;

    use super::*;
    use crate::backend::{Listing, Updates};
    use crate::check::CheckResult;

    /// A registry that does and says what a test wants.
    #[derive(Debug, Clone, Default)]
    struct Played {
        servers: Vec<String>,
        /// Everything comes at the last moment, and no step passes its own limit.
        is_slow: bool,
        /// Whether a server that accepts opens a session; else it says this.
        trouble: Option<Error>,
        /// What such a server says of itself.
        own: Option<Diagnosis>,
        /// A server that nothing needs.
        needless: Option<String>,
        /// A server where no session is opened, and nothing is wrong.
        for_logins: Option<String>,
    }

    impl Played {
        /// Waits until just before the end of a step, if it is slow.
        async fn almost(&self, step: Duration) {
            if self.is_slow {
                sleep(step - Duration::from_millis(100)).await;
            }
        }

        async fn endless(&self) {
            if self.is_slow {
                std::future::pending().await
            }
        }
    }

    #[async_trait]
    impl Backend for Played {
        fn address(&self) -> String {
            "played://".to_owned()
        }

        fn servers(&self) -> Vec<String> {
            self.servers.clone()
        }

        async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
            self.almost(OPEN).await;
            match &self.trouble {
                Some(trouble) if trouble.is_refused() => Err(trouble.clone()),
                _ => Ok(Arc::new(self.clone())),
            }
        }

        fn opens_sessions(&self, server: &str) -> bool {
            self.for_logins.as_deref() != Some(server)
        }

        async fn examine(&self, server: &str) -> Result<Vec<Diagnosis>, Error> {
            if !self.opens_sessions(server) {
                return Ok(Vec::new());
            }
            if let Some(trouble) = &self.trouble {
                self.endless().await;
                return Err(trouble.clone());
            }
            self.almost(EXAMINE).await;
            Ok(Vec::new())
        }

        async fn recognize(&self, _: &str) -> Option<Diagnosis> {
            self.endless().await;
            self.own.clone()
        }

        fn unneeded(&self, server: &str) -> Option<String> {
            (self.needless.as_deref() == Some(server)).then(|| "nobody needs it".to_owned())
        }
    }

    #[async_trait]
    impl Session for Played {
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
            self.almost(SURVEY).await;
            Ok(Vec::new())
        }

        async fn closed(&self) {
            std::future::pending().await
        }

        async fn end(&self) {
            self.endless().await;
        }
    }

    /// A server that accepts, and its address.
    fn accepting() -> (TcpListener, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap().to_string();
        (listener, server)
    }

    fn result_of(found: &[Diagnosis], check: &str) -> Vec<CheckResult> {
        found.iter().filter(|seen| seen.check == check).map(|seen| seen.result).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_a_registry_does_it_takes_less_than_ten_seconds() {
        let (_listener, server) = accepting();
        let silent = Some(Error::unreachable("it says nothing"));
        for (trouble, expected) in [(None, "not read within 2.2 s"), (silent, "within 4.0 s")] {
            let begun = Instant::now();
            let servers = vec![server.clone()];
            let slow = Played { servers, is_slow: true, trouble, ..Played::default() };
            let found = diagnose(&slow).await;
            let took = begun.elapsed();
            assert!(took < Duration::from_secs(10), "{took:?}");
            assert!(found.iter().any(|found| found.seen.contains(expected)), "{found:#?}");
        }
    }

    #[tokio::test]
    async fn a_login_that_fails_is_told_once_also_where_logins_have_a_port_of_their_own() {
        let ((_sessions, server), (_logins, logins)) = (accepting(), accepting());
        let refused = Played {
            servers: vec![logins.clone(), server],
            trouble: Some(Error::refused("registry played://: it refuses the user")),
            for_logins: Some(logins),
            ..Played::default()
        };
        let found = diagnose(&refused).await;
        assert_eq!(result_of(&found, "login"), [CheckResult::Fail], "{found:#?}");
        assert_eq!(result_of(&found, "session"), [CheckResult::Skip], "{found:#?}");
    }

    #[tokio::test]
    async fn a_server_that_opens_no_session_is_asked_what_it_is() {
        let (listener, server) = accepting();
        let says = |own| Played {
            servers: vec![server.clone()],
            trouble: Some(Error::unreachable("registry played://: it hangs up")),
            own,
            ..Played::default()
        };
        let of_server = async |own| {
            let mut found = diagnose(&says(own)).await;
            assert_eq!(result_of(&found, "session"), [CheckResult::Skip], "{found:#?}");
            found.retain(|seen| seen.check == "server");
            let [failed] = &found[..] else { panic!("{found:#?}") };
            assert!(failed.has_failed() && failed.of == server, "{failed}");
            (failed.seen.clone(), failed.remedy.clone().unwrap())
        };
        let usual = "correct host and port, or see the log of the server";
        // Nobody answers there: what is known is told.
        assert_eq!(of_server(None).await, ("it hangs up".to_owned(), usual.to_owned()));
        let own = Diagnosis::fail("server", "a", "played, which is starting", "wait for it");
        let (seen, remedy) = of_server(Some(own.clone())).await;
        assert_eq!(seen, "it hangs up; what answers is played, which is starting");
        assert_eq!(remedy, "wait for it");
        let silent = Diagnosis { remedy: None, ..own.clone() };
        assert_eq!(of_server(Some(silent)).await.1, usual);

        // Something else answers there; what the registry says of it counts first.
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let _greeting = tokio::task::JoinSet::from_iter([async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.writable().await;
                let _ = stream.try_write(b"SSH-2.0-OpenSSH_9\r\n");
                open.push(stream);
            }
        }]);
        let (seen, remedy) = of_server(None).await;
        assert_eq!(seen, "it hangs up");
        assert_eq!(remedy, "what answers there is an SSH server: correct host and port");
        assert_eq!(of_server(Some(own)).await.1, "wait for it");
    }

    #[tokio::test]
    async fn a_server_that_nothing_needs_costs_no_session_and_none_comes_of_it_alone() {
        let ((_listener, open), [closed]) = (accepting(), free_ports());
        let closed = format!("127.0.0.1:{closed}");
        let servers = vec![open.clone(), closed.clone()];
        let looks = async |needless: Option<&String>| {
            let servers = servers.clone();
            diagnose(&Played { servers, needless: needless.cloned(), ..Played::default() }).await
        };
        let usual = looks(None).await;
        assert_eq!(result_of(&usual, "port"), [CheckResult::Ok, CheckResult::Fail], "{usual:#?}");
        assert_eq!(result_of(&usual, "session"), [CheckResult::Ok], "one is enough: {usual:#?}");

        let without = looks(Some(&closed)).await;
        assert_eq!(result_of(&without, "port"), [CheckResult::Ok, CheckResult::Warn]);
        assert_eq!(result_of(&without, "session"), [CheckResult::Ok], "{without:#?}");
        let warned = without.iter().find(|seen| seen.result == CheckResult::Warn).unwrap();
        let remedy = warned.remedy.as_deref().unwrap();
        assert!(remedy.starts_with("nobody needs it; else start what should listen"), "{remedy}");

        // The one that opens is needed by nobody.
        let alone = looks(Some(&open)).await;
        assert_eq!(result_of(&alone, "session"), [CheckResult::Skip], "{alone:#?}");
        assert!(alone.iter().any(|seen| seen.seen == "no server opens a session"), "{alone:#?}");
    }
}
