//! Asks name servers for the records of a name, and says why there are none.
//!
//! A name is completed by the search list here, for all its records together: the resolver would do it
//! for each kind of record, and a name could end with the A records of one domain and the AAAA records
//! of another. The resolver's cache is off, because records are asked for when they have to be.

use std::fmt;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use super::settings::DnsSettings;
use crate::sound::plain;

/// How long one question waits, and is then asked once more.
const QUESTION_LIMIT: Duration = Duration::from_secs(2);

/// Why there are no records.
#[derive(Debug, Clone)]
pub(super) enum NoAnswer {
    /// The name does not exist.
    NoName,
    /// It exists, without records of the kinds that were asked for.
    NoRecords,
    /// It has SRV records, and none of their targets has an address.
    NoTargets,
    /// An SRV record says that the service is not offered there.
    NotOffered,
    /// There are more than we take, which is this number.
    TooMany(usize),
    /// Nobody could say.
    Unknown(String),
}

/// The name servers of a registry's address, and the full forms of its name.
pub(super) struct DnsResolver {
    resolver: TokioResolver,
    /// In the order in which they are asked for; the first that has records counts.
    pub(super) names: Vec<Name>,
}

impl DnsResolver {
    /// Reads the system's configuration, unless the address has name servers. Blocks.
    pub(super) fn open(settings: &DnsSettings) -> Result<Self, String> {
        let asked = || match settings.servers.is_empty() {
            true => read_system_conf().map_err(|error| {
                let why = plain(error);
                format!(
                    "the name servers of this machine are not known ({why}), \
                     name one with ?server=IP:PORT"
                )
            }),
            false => Ok((given_servers(settings), ResolverOpts::default())),
        };
        let (config, mut options) = asked()?;
        options.timeout = options.timeout.min(QUESTION_LIMIT);
        options.attempts = options.attempts.min(1);
        options.cache_size = 0;
        options.use_hosts_file = match settings.servers.is_empty() {
            true => ResolveHosts::Always,
            false => ResolveHosts::Never,
        };
        let names = full_names(&settings.name, &config, options.ndots)?;
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(config, provider).with_options(options);
        Ok(Self { resolver: builder.build().map_err(plain)?, names })
    }

    /// The records of a kind that a name has, at least one, and how many seconds they stand.
    pub(super) async fn records<T>(
        &self,
        name: &Name,
        kind: RecordType,
        read: impl Fn(&RData) -> Option<T>,
    ) -> Result<(Vec<T>, u32), NoAnswer> {
        let found = self.resolver.lookup(name.clone(), kind).await.map_err(why_missing)?;
        let records: Vec<T> = found.answers().iter().filter_map(|one| read(&one.data)).collect();
        if records.is_empty() {
            return Err(NoAnswer::NoRecords);
        }
        // Of the names in between, too: they lead elsewhere when their time is over.
        let ttl = found.answers().iter().map(|record| record.ttl).min();
        Ok((records, ttl.unwrap_or(0)))
    }
}

fn given_servers(settings: &DnsSettings) -> ResolverConfig {
    let server = |at: &std::net::SocketAddr| {
        let connections =
            [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = at.port();
                connection
            });
        NameServerConfig::new(at.ip(), true, connections.into())
    };
    ResolverConfig::from_name_servers(settings.servers.iter().map(server).collect())
}

/// What a name may stand for: itself, and itself within each domain of the search list, which comes
/// first if the name has fewer dots than is usual for a full one.
fn full_names(name: &str, config: &ResolverConfig, ndots: usize) -> Result<Vec<Name>, String> {
    let mut itself = Name::from_ascii(name).map_err(plain)?;
    let dots = name.matches('.').count();
    if itself.is_fqdn() {
        return Ok(vec![itself]);
    }
    let domains = match config.search() {
        [] => config.domain().into_iter().cloned().collect(),
        search => search.to_vec(),
    };
    let within = |domain: &Name| itself.clone().append_domain(domain).ok();
    let mut names: Vec<Name> = domains.iter().filter_map(within).collect();
    itself.set_fqdn(true);
    let place = if dots >= ndots { 0 } else { names.len() };
    names.insert(place, itself);
    Ok(names)
}

fn why_missing(error: NetError) -> NoAnswer {
    match &error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => NoAnswer::NoName,
            _ => NoAnswer::NoRecords,
        },
        NetError::Dns(DnsError::ResponseCode(code)) => {
            NoAnswer::Unknown(format!("answers with an error, {}", plain(code)))
        }
        NetError::Timeout | NetError::NoConnections => NoAnswer::silent(),
        _ => NoAnswer::Unknown(format!("cannot be asked: {}", plain(error))),
    }
}

// === impl NoAnswer ===

impl NoAnswer {
    pub(super) fn silent() -> Self {
        let why = "does not answer in time, check that it is running and reachable";
        Self::Unknown(why.to_owned())
    }

    /// What to tell people who wrote `settings`.
    pub(super) fn text(&self, settings: &DnsSettings) -> String {
        let (name, asked) = (&settings.name, settings.asked());
        let kinds = settings.kinds();
        match self {
            Self::NoName => {
                format!("`{name}` does not exist as far as {asked} knows, check the name")
            }
            Self::NoRecords => {
                format!("`{name}` has no {kinds} records, check what it should have")
            }
            Self::NoTargets => format!(
                "no target of the SRV records of `{name}` has an address, check the names they lead to"
            ),
            Self::NotOffered => format!("the SRV record of `{name}` says that nobody offers it"),
            Self::TooMany(limit) => {
                format!("`{name}` has more than {limit} addresses, divide them among names")
            }
            Self::Unknown(why) => format!("{asked} {why}"),
        }
    }
}

// === impl DnsResolver ===

impl fmt::Debug for DnsResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsResolver").field("names", &self.names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str, search: &[&str], ndots: usize) -> Vec<String> {
        let domain = Name::from_ascii("own.example").unwrap();
        let search = search.iter().map(|at| Name::from_ascii(at).unwrap()).collect();
        let config = ResolverConfig::from_parts(Some(domain), search, Vec::new());
        let names = full_names(name, &config, ndots).unwrap();
        names.iter().map(Name::to_string).collect()
    }

    #[test]
    fn a_name_is_completed_by_the_search_list_as_elsewhere_on_the_machine() {
        let search = ["default.svc.cluster.local", "cluster.local"];
        assert_eq!(
            names("shop", &search, 5),
            ["shop.default.svc.cluster.local.", "shop.cluster.local.", "shop."]
        );
        assert_eq!(
            names("shop.example", &search, 1)[..2],
            ["shop.example.", "shop.example.default.svc.cluster.local."]
        );
        assert_eq!(names("shop.", &search, 5), ["shop."]);
        assert_eq!(names("shop", &[], 1), ["shop.own.example.", "shop."]);
        let long = "a.".repeat(125) + "a";
        assert_eq!(names(&long, &search, 5).len(), 1, "what would be too long is left out");
    }
}
