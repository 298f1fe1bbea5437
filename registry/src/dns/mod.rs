//! `dns://name:port`: the addresses of a name in DNS, the same for every service.
//!
//! For headless services of Kubernetes and plain networks, where no registry server runs. The records
//! are asked for again when their time to live has passed; a list is as fresh as that, because DNS
//! tells nobody of a change.

mod ask;
mod resolver;
mod session;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use rpc_core::{BuildContext, Error, Extension};

use self::ask::LOOK_UP_LIMIT;
use self::session::DnsSession;
use self::settings::DnsSettings;
use crate::backend::{Backend, Demand, Session};
use crate::{Pace, Registry, RegistryParams, RegistryUrl, supervise};

/// The registry `dns://name:port`: the addresses of a name in DNS, the same for every service.
///
/// | parameter | meaning | default |
/// | --- | --- | --- |
/// | `srv` | asks for SRV records, which have ports and weights; the address then has no port | `true` if the name begins with `_`, as in `dns://_grpc._tcp.shop.local` |
/// | `family` | `ipv4` or `ipv6`: addresses of this kind alone, for names that have both kinds of one provider | both |
/// | `server` | `IP` or `IP:PORT` of the name servers, separated by commas; names are then absolute, and the hosts file is not read | those of the system, with its search list and hosts file |
/// | `min-ttl`, `max-ttl` | the bounds of the time after which records are asked for again, which is then up to a tenth longer | `5s`, `60s` |
/// | `codecs`, `protocols` | what the providers speak, where it is not everything | unknown |
///
/// **A failed or empty answer** changes nothing: the last list stays, is reported as not confirmed, and
/// the log says so once; the name is asked for again with pauses that grow to `min-ttl`, at most to 4 s.
/// That a name does not exist is no other answer than that; where the name is completed by a search list, no later
/// domain takes the place of the one that was answered before. If only one kind of address fails, or one
/// target of SRV records, its last addresses stay in the list.
///
/// **SRV records** count with the lowest priority number that has addresses; the others are not used.
/// A weight is multiplied by 100 and divided among the addresses of its target; 0 beside others becomes 1,
/// and weights that are all 0 become 100.
///
/// **Registering** succeeds and changes nothing, as with `static://`: who writes the records decides who
/// is listed. An instance has its address as id, and no known start.
///
/// A list has up to 20,000 addresses. All questions that make one may take 5 s together.
///
/// ```
/// // Nothing is asked before first use.
/// let shop = dubhe_registry::connect("dns://shop.internal:20880?codecs=json")?;
/// assert_eq!(shop.address(), "dns://shop.internal:20880");
///
/// let unclear = dubhe_registry::connect("dns://shop.internal").unwrap_err().to_string();
/// assert!(unclear.contains("A and AAAA records have no port"), "{unclear}");
/// # Ok::<(), rpc_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Dns {
    settings: Arc<DnsSettings>,
    /// Whether the log says that it takes no registrations.
    has_told: Arc<AtomicBool>,
}

impl Extension<dyn Registry> for Dns {
    const NAME: &'static str = "dns";
    type Config = RegistryParams;

    fn build(config: RegistryParams, _: &BuildContext) -> Result<Arc<dyn Registry>, Error> {
        let settings = Arc::new(DnsSettings::read(&RegistryUrl::parse(&config.url)?)?);
        Ok(supervise(Arc::new(Self { settings, has_told: Arc::default() }), &config))
    }
}

#[async_trait]
impl Backend for Dns {
    fn address(&self) -> String {
        self.settings.address.clone()
    }

    /// Asks nothing yet: what registers does not wait for a name that exists only once it runs.
    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        let (settings, has_told) = (Arc::clone(&self.settings), Arc::clone(&self.has_told));
        Ok(Arc::new(DnsSession::new(settings, has_told)))
    }

    fn pace(&self) -> Pace {
        let pace = Pace::default();
        Pace {
            // Longer than what it limits, so that the reason is told.
            request_timeout: LOOK_UP_LIMIT + pace.settle,
            longest_pause: self.settings.longest_pause(),
            reader_spread: Duration::ZERO,
            ..pace
        }
    }
}
