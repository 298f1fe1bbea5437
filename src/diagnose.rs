//! Looking at everything between this machine and its registries: what `dubhe doctor` shows.

use std::net::IpAddr;
use std::time::Duration;

use registry::Diagnosis;
use rpc_core::{Error, runtime};
use tokio::time::timeout;

use crate::address::Listening;
use crate::config::Config;
use crate::consumer::Consumer;
use crate::extensions::Extensions;

/// What a provider would register, as checks name it.
const ADDRESS: &str = "address";

/// How long the address may take to be told: names are looked up, registry by registry.
const TELL: Duration = Duration::from_secs(5);

impl Consumer {
    /// Looks at everything between this machine and its registries, step by step: names and ports of their
    /// servers, whether they are what they should be, our credentials, their clocks, what stands in them,
    /// the folder of the lists on disk, and the address that a provider would register here. Opens
    /// sessions of its own, and writes nothing that stays but the folder of lists. Takes less than 10 s,
    /// whatever the registries do.
    ///
    /// ```
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), dubhe::Error> {
    /// use dubhe::Consumer;
    /// use dubhe::config::Sources;
    ///
    /// let consumer = Consumer::new("dubhe://127.0.0.1:1").sources(Sources::default()).build()?;
    /// let seen = consumer.diagnose().await?;
    /// let failed = seen.iter().find(|seen| seen.has_failed()).expect("nothing listens there");
    /// assert_eq!((failed.check, &*failed.of), ("port", "127.0.0.1:1"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There is no tokio runtime, or one without timers and IO.
    ///
    /// # Cancel safety
    /// Dropping the future closes the sessions.
    pub async fn diagnose(&self) -> Result<Vec<Diagnosis>, Error> {
        runtime::whole()?;
        let config = self.config();
        let (mut found, address) =
            tokio::join!(self.0.registry.diagnose(), own_address(&config, &self.0.extensions));
        found.push(address);
        Ok(found)
    }
}

/// The address that a provider of these settings would register on this machine.
async fn own_address(config: &Config, extensions: &Extensions) -> Diagnosis {
    const REMEDY: &str =
        "set provider.advertise to an address of this machine that consumers reach";
    let listening = match extensions.registries(config) {
        Ok(registries) => timeout(TELL, Listening::of(config, &registries)).await,
        Err(error) => Ok(Err(error)),
    };
    let Ok(listening) = listening else {
        let seen = format!("no name server tells the registry's address within {TELL:?}");
        return Diagnosis::warn(ADDRESS, "of a provider here", seen, REMEDY);
    };
    let listening = match listening {
        Ok(listening) => listening,
        Err(error) => {
            return Diagnosis::warn(ADDRESS, "of a provider here", error.to_string(), REMEDY);
        }
    };
    let address = listening.advertised(listening.bind);
    let ip = address.rsplit_once(':').and_then(|(host, _)| host.parse::<IpAddr>().ok());
    let is_here = listening.is_registry_here();
    let origin = match (&config.provider.advertise, config.provider.bind) {
        (Some(_), _) => "provider.advertise",
        (None, Some(bind)) if !bind.is_unspecified() => "provider.bind",
        _ => "the way to the registry leaves from there",
    };
    match ip {
        Some(ip) if ip.is_loopback() && !is_here => {
            let seen = format!(
                "would be registered ({origin}), and the registry is on another machine, whose \
                 consumers cannot call loopback here"
            );
            Diagnosis::warn(ADDRESS, address, seen, REMEDY)
        }
        Some(ip) if ip.is_loopback() => {
            let seen = format!(
                "would be registered ({origin}): the registry is on this machine, and consumers \
                 have to be, too"
            );
            Diagnosis::ok(ADDRESS, address, seen)
        }
        _ => Diagnosis::ok(ADDRESS, address, format!("would be registered ({origin})")),
    }
}

#[cfg(test)]
mod tests {
    use registry::CheckResult;

    use super::*;

    async fn address(settings: &[(&str, &str)]) -> Diagnosis {
        let mut consumer = Consumer::builder().sources(crate::config::Sources::default());
        for (key, value) in settings {
            consumer = consumer.set(key, *value);
        }
        let consumer = consumer.build().unwrap();
        own_address(&consumer.config(), &consumer.0.extensions).await
    }

    #[tokio::test]
    async fn an_address_that_others_cannot_call_is_a_warning() {
        let remote = ("registry.address", "dubhe://192.0.2.1:1");
        let here = ("registry.address", "dubhe://127.0.0.1:1");
        for (settings, expected, seen) in [
            (vec![here], CheckResult::Ok, "consumers have to be, too"),
            (
                vec![remote, ("provider.advertise", "127.0.0.1")],
                CheckResult::Warn,
                "cannot call loopback here",
            ),
            (
                vec![here, ("provider.advertise", "10.0.0.1:7")],
                CheckResult::Ok,
                "provider.advertise",
            ),
        ] {
            let found = address(&settings).await;
            assert_eq!(found.result, expected, "{found}");
            assert!(found.seen.contains(seen), "{found}");
        }
    }
}
