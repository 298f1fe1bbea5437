//! From the records of a name to a list of providers.
//!
//! What a part of the questions does not answer is not taken for gone: its last addresses stay. If
//! nothing is answered, that is an error, and the registry keeps its list as a whole.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use rpc_core::Error;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

use super::resolver::{DnsResolver, NoAnswer};
use super::settings::{DnsSettings, Family, RecordKind};

/// The limit of all that makes one list: the name servers of this machine are read, and asked.
pub(super) const LOOK_UP_LIMIT: Duration = Duration::from_secs(5);

/// How many targets of SRV records are asked for at once.
const AT_ONCE: usize = 16;

/// The longest list.
const MAX_PROVIDERS: usize = 20_000;

/// The weight of a provider when nothing else is said.
const USUAL_WEIGHT: u32 = 100;

/// The addresses that names had when they were answered last.
pub(super) type LastAddresses = BTreeMap<(Name, Family), Vec<IpAddr>>;

/// The providers that a name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DnsAnswer {
    /// Their weights, by address.
    pub(super) weights: BTreeMap<SocketAddr, u32>,
    /// How long the answer stands.
    pub(super) ask_again: Duration,
}

/// Asks for the providers of one name.
#[derive(Debug)]
pub(super) struct Asker {
    settings: Arc<DnsSettings>,
    /// Absent until it is needed, and after a failure: then what the system says of its name servers is
    /// read again.
    resolver: Option<DnsResolver>,
    /// What is being read for the next one: a disk that hangs is not asked by more and more threads.
    opening: Option<JoinHandle<Result<DnsResolver, String>>>,
    /// The full form of the name that was answered last.
    form: Option<Name>,
    last: LastAddresses,
}

/// One time of asking.
struct Round<'a> {
    settings: &'a DnsSettings,
    resolver: &'a DnsResolver,
    form: Option<&'a Name>,
    last: &'a LastAddresses,
}

/// Addresses of one name, at least one.
struct Addresses {
    by_family: Vec<(Family, Vec<IpAddr>)>,
    ttl: u32,
    /// Whether some are the last that were known.
    is_partial: bool,
}

impl Addresses {
    fn count(&self) -> usize {
        self.by_family.iter().map(|(_, addresses)| addresses.len()).sum()
    }

    /// The weight of each, if all of them are one provider's.
    fn share_of(&self, weight: u32) -> u32 {
        let count = u32::try_from(self.count()).unwrap_or(u32::MAX);
        (weight / count.max(1)).max(1)
    }
}

// === impl Asker ===

impl Asker {
    pub(super) fn new(settings: Arc<DnsSettings>) -> Self {
        let last = LastAddresses::new();
        Self { settings, resolver: None, opening: None, form: None, last }
    }

    /// One that begins with this resolver.
    #[cfg(test)]
    pub(super) fn with(settings: Arc<DnsSettings>, resolver: DnsResolver) -> Self {
        Self { resolver: Some(resolver), ..Self::new(settings) }
    }

    /// The providers now, at least one.
    pub(super) async fn ask(&mut self) -> Result<DnsAnswer, Error> {
        let until = Instant::now() + LOOK_UP_LIMIT;
        let resolver = match self.resolver.take() {
            Some(resolver) => resolver,
            None => self.open(until).await.map_err(|why| self.failed(&why))?,
        };
        let form = self.form.as_ref();
        let round = Round { settings: &self.settings, resolver: &resolver, form, last: &self.last };
        let answered = timeout_at(until, round.ask()).await;
        let answered = answered.unwrap_or_else(|_| Err(NoAnswer::silent()));
        let (form, list) =
            answered.map_err(|missing| self.failed(&missing.text(&self.settings)))?;
        let DnsSettings { min_ttl, max_ttl, .. } = *self.settings;
        let ttl = if list.is_partial { min_ttl } else { Duration::from_secs(list.ttl.into()) };
        (self.resolver, self.form, self.last) = (Some(resolver), Some(form), list.addresses);
        Ok(DnsAnswer { weights: list.weights, ask_again: ttl.clamp(min_ttl, max_ttl) })
    }

    async fn open(&mut self, until: Instant) -> Result<DnsResolver, String> {
        let settings = &self.settings;
        let opening = self.opening.get_or_insert_with(|| {
            let settings = Arc::clone(settings);
            spawn_blocking(move || DnsResolver::open(&settings))
        });
        let Ok(opened) = timeout_at(until, opening).await else {
            return Err(format!(
                "the name servers of this machine are not read within {LOOK_UP_LIMIT:?}, check its disk"
            ));
        };
        self.opening = None;
        opened.unwrap_or_else(|ended| {
            Err(match ended.is_panic() {
                true => "the name servers of this machine are not read, as their reader panics"
                    .to_owned(),
                false => "the runtime shuts down".to_owned(),
            })
        })
    }

    fn failed(&self, why: &str) -> Error {
        Error::unreachable(format!("registry {}: {why}", self.settings.address))
    }
}

// === impl Round ===

impl Round<'_> {
    /// The first full form of the name that has an answer, and that answer. One that nobody can say anything
    /// about is the last, and so is the one that was answered before, also while it is empty: a later one could
    /// be another name that happens to exist.
    async fn ask(&self) -> Result<(Name, List), NoAnswer> {
        let mut missing = NoAnswer::NoName;
        for name in &self.resolver.names {
            let asked = match self.settings.records {
                RecordKind::Addresses(port) => self.ask_addresses(name, port).await,
                RecordKind::Srv => self.ask_srv(name).await,
            };
            match asked {
                Err(NoAnswer::NoName) => {}
                Err(none @ (NoAnswer::NoRecords | NoAnswer::NoTargets)) => missing = none,
                Err(other) => return Err(other),
                Ok(list) => return Ok((name.clone(), list)),
            }
            if self.form == Some(name) {
                break;
            }
        }
        Err(missing)
    }

    async fn ask_addresses(&self, name: &Name, port: u16) -> Result<List, NoAnswer> {
        let found = self.addresses(name).await?;
        let mut list = List::standing_for(found.ttl);
        list.add(name, &found, port, USUAL_WEIGHT)?;
        Ok(list)
    }

    async fn ask_srv(&self, name: &Name) -> Result<List, NoAnswer> {
        let read = |data: &RData| match data {
            RData::SRV(srv) => Some(srv.clone()),
            _ => None,
        };
        let (records, ttl) = self.resolver.records(name, RecordType::SRV, read).await?;
        if records.iter().all(|srv| srv.target.is_root()) {
            return Err(NoAnswer::NotOffered);
        }
        let mut groups = BTreeMap::<u16, Vec<SRV>>::new();
        for srv in records {
            groups.entry(srv.priority).or_default().push(srv);
        }
        for group in groups.into_values() {
            match self.ask_targets(group, ttl).await {
                Err(NoAnswer::NoName | NoAnswer::NoRecords) => {}
                other => return other,
            }
        }
        Err(NoAnswer::NoTargets)
    }

    /// The providers of SRV records of one priority.
    async fn ask_targets(&self, group: Vec<SRV>, ttl: u32) -> Result<List, NoAnswer> {
        let weights = weights(&group);
        let asked = stream::iter(group.into_iter().zip(weights)).map(|(srv, weight)| async move {
            let found = self.addresses(&srv.target).await;
            (srv, weight, found)
        });
        let mut asked = asked.buffer_unordered(AT_ONCE);
        let (mut list, mut unknown) = (List::standing_for(ttl), Vec::new());
        while let Some((srv, weight, found)) = asked.next().await {
            match found {
                Ok(found) => {
                    list.ttl = list.ttl.min(found.ttl);
                    list.add(&srv.target, &found, srv.port, found.share_of(weight))?;
                }
                Err(NoAnswer::NoName | NoAnswer::NoRecords) => {}
                Err(missing) => unknown.push((srv, weight, missing)),
            }
        }
        if list.weights.is_empty() {
            let first = unknown.pop().map(|(.., missing)| missing);
            return Err(first.unwrap_or(NoAnswer::NoRecords));
        }
        for (srv, weight, _) in unknown {
            let by_family = self.last_of(&srv.target, self.settings.families);
            let found = Addresses { by_family, ttl: 0, is_partial: true };
            list.add(&srv.target, &found, srv.port, found.share_of(weight))?;
        }
        Ok(list)
    }

    /// The addresses of a name. It exists if one kind says so, and is unknown if none does and one
    /// fails.
    async fn addresses(&self, name: &Name) -> Result<Addresses, NoAnswer> {
        let ask = |family: Family| async move {
            let kind = match family {
                Family::V4 => RecordType::A,
                Family::V6 => RecordType::AAAA,
            };
            let read =
                |data: &RData| data.ip_addr().filter(|ip| ip.is_ipv4() == (family == Family::V4));
            (family, self.resolver.records(name, kind, read).await)
        };
        let asked = join_all(self.settings.families.iter().map(|family| ask(*family))).await;
        let (mut by_family, mut ttl) = (Vec::new(), u32::MAX);
        let (mut failed, mut missing) = (Vec::new(), NoAnswer::NoName);
        for (family, outcome) in asked {
            match outcome {
                Ok((addresses, stands)) => {
                    ttl = ttl.min(stands);
                    by_family.push((family, addresses));
                }
                Err(NoAnswer::NoName) => {}
                Err(NoAnswer::Unknown(why)) => failed.push((family, NoAnswer::Unknown(why))),
                Err(other) => missing = other,
            }
        }
        if by_family.is_empty() {
            return Err(failed.pop().map_or(missing, |(_, why)| why));
        }
        let is_partial = !failed.is_empty();
        let failed: Vec<Family> = failed.into_iter().map(|(family, _)| family).collect();
        by_family.extend(self.last_of(name, &failed));
        Ok(Addresses { by_family, ttl, is_partial })
    }

    /// The addresses of these kinds that a name had last.
    fn last_of(&self, name: &Name, families: &[Family]) -> Vec<(Family, Vec<IpAddr>)> {
        let known = |family: &Family| {
            let addresses = self.last.get(&(name.clone(), *family))?;
            Some((*family, addresses.clone()))
        };
        families.iter().filter_map(known).collect()
    }
}

/// A list that is being made.
#[derive(Debug)]
struct List {
    weights: BTreeMap<SocketAddr, u32>,
    /// What it is made of, for the next time.
    addresses: LastAddresses,
    /// How many seconds its records stand.
    ttl: u32,
    is_partial: bool,
}

impl List {
    fn standing_for(ttl: u32) -> Self {
        let (weights, addresses) = (BTreeMap::new(), LastAddresses::new());
        Self { weights, addresses, ttl, is_partial: false }
    }

    /// Adds the addresses of a name, each with `weight`.
    fn add(
        &mut self,
        name: &Name,
        found: &Addresses,
        port: u16,
        weight: u32,
    ) -> Result<(), NoAnswer> {
        if self.weights.len() + found.count() > MAX_PROVIDERS {
            return Err(NoAnswer::TooMany(MAX_PROVIDERS));
        }
        self.is_partial |= found.is_partial;
        for (family, addresses) in &found.by_family {
            for ip in addresses {
                let listed = self.weights.entry(SocketAddr::new(*ip, port)).or_default();
                *listed = listed.saturating_add(weight);
            }
            self.addresses.insert((name.clone(), *family), addresses.clone());
        }
        Ok(())
    }
}

/// The weights of SRV records, as ours: 0 beside others is little, and all 0 is no difference.
fn weights(group: &[SRV]) -> Vec<u32> {
    let all_zero = group.iter().all(|srv| srv.weight == 0);
    let weight = |srv: &SRV| match srv.weight {
        _ if all_zero => USUAL_WEIGHT,
        0 => 1,
        weight => u32::from(weight) * USUAL_WEIGHT,
    };
    group.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_list_has_a_limit_and_takes_nothing_beyond_it() {
        let v4 = |count| (0..count).map(|i| Ipv4Addr::from_bits(i).into()).collect();
        let v6 = |count| (0..count).map(|i| Ipv6Addr::from_bits(i).into()).collect();
        let found = |by_family| Addresses { by_family, ttl: 1, is_partial: false };
        let mut list = List::standing_for(1);
        let name = Name::from_ascii("shop.test.").unwrap();
        let first = found(vec![(Family::V4, v4(10_000)), (Family::V6, v6(9_999))]);
        list.add(&name, &first, 1, 100).unwrap();
        let two = found(vec![(Family::V4, v4(2))]);
        let refused = list.add(&name, &two, 2, 100).unwrap_err();
        assert!(matches!(refused, NoAnswer::TooMany(20_000)), "{refused:?}");
        assert_eq!(list.weights.len(), 19_999);
        list.add(&name, &found(vec![(Family::V4, v4(1))]), 2, 100).unwrap();
        assert_eq!(list.weights.len(), MAX_PROVIDERS, "as many are allowed");
    }
}
