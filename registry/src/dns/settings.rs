//! What an address of `dns://` says: the name, the records to ask for, whom to ask and how often.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use rpc_core::{Error, amount};

use crate::{Pace, RegistryUrl};

/// The parameters that it takes.
const PARAMETERS: [&str; 7] =
    ["codecs", "family", "max-ttl", "min-ttl", "protocols", "server", "srv"];

/// The port on which name servers listen.
const DNS_PORT: u16 = 53;

const MIN_TTL: Duration = Duration::from_secs(5);
const MAX_TTL: Duration = Duration::from_secs(60);

/// What an address may ask for: with less the name server would have no rest, and a day is a mistake.
const TTLS: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(24 * 3600);

/// An address of `dns://`, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DnsSettings {
    /// For people.
    pub(super) address: String,
    pub(super) name: String,
    pub(super) records: RecordKind,
    pub(super) families: &'static [Family],
    /// Empty for the system's.
    pub(super) servers: Vec<SocketAddr>,
    pub(super) min_ttl: Duration,
    pub(super) max_ttl: Duration,
    pub(super) codecs: Arc<[String]>,
    pub(super) protocols: Arc<[String]>,
}

/// The records that a name is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// A and AAAA records, whose providers listen on this port.
    Addresses(u16),
    /// SRV records.
    Srv,
}

/// A kind of IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

impl DnsSettings {
    pub(super) fn read(url: &RegistryUrl) -> Result<Self, Error> {
        url.expect_only(false, &PARAMETERS)?;
        let [host] = &url.hosts[..] else {
            return Err(url.wrong("it takes one name, as in dns://shop.internal:20880"));
        };
        check_name(&host.name).map_err(|why| url.wrong(&why))?;
        let srv = match value(url, "srv") {
            None => host.name.starts_with('_'),
            Some("true") => true,
            Some("false") => false,
            Some(other) => return Err(bad(url, "srv", other, "true or false")),
        };
        let records = match (srv, host.port) {
            (true, None) => RecordKind::Srv,
            (false, Some(port)) => RecordKind::Addresses(port),
            (true, Some(_)) => {
                return Err(url.wrong("SRV records have the port, leave it out of the address"));
            }
            (false, None) => {
                return Err(url.wrong(
                    "A and AAAA records have no port, write it as in dns://shop.internal:20880, \
                     or ask for SRV records with ?srv=true",
                ));
            }
        };
        let families: &[_] = match value(url, "family") {
            None => &[Family::V4, Family::V6],
            Some("ipv4") => &[Family::V4],
            Some("ipv6") => &[Family::V6],
            Some(other) => return Err(bad(url, "family", other, "ipv4 or ipv6")),
        };
        let (min_ttl, max_ttl) = read_ttls(url)?;
        let servers = url.values("server");
        let servers =
            servers.iter().map(|text| read_server(url, text)).collect::<Result<_, _>>()?;
        Ok(Self {
            address: url.to_string(),
            name: host.name.clone(),
            records,
            families,
            servers,
            min_ttl,
            max_ttl,
            codecs: url.values("codecs").into(),
            protocols: url.values("protocols").into(),
        })
    }

    /// The longest pause after an answer that failed.
    pub(super) fn longest_pause(&self) -> Duration {
        let pace = Pace::default();
        self.min_ttl.clamp(pace.first_pause, pace.longest_pause)
    }

    /// The kinds of records that it asks for, for people.
    pub(super) fn kinds(&self) -> &'static str {
        match (self.records, self.families) {
            (RecordKind::Srv, _) => "SRV",
            (_, [Family::V4]) => "A",
            (_, [Family::V6]) => "AAAA",
            _ => "A or AAAA",
        }
    }

    /// Whom it asks, for people.
    pub(super) fn asked(&self) -> String {
        let servers: Vec<_> = self.servers.iter().map(SocketAddr::to_string).collect();
        match &servers[..] {
            [] => "the name server of this machine".to_owned(),
            [server] => format!("the name server {server}"),
            several => format!("each of the name servers {}", several.join(", ")),
        }
    }
}

fn value<'a>(url: &'a RegistryUrl, key: &str) -> Option<&'a str> {
    url.query.get(key).map(String::as_str)
}

/// The error of a parameter whose value does not fit.
fn bad(url: &RegistryUrl, key: &str, value: &str, possible: &str) -> Error {
    let value = value.escape_debug();
    url.wrong(&format!("`{value}` is not a value of `{key}`: write {possible}"))
}

/// The bounds; where one is given alone, the other gives way to it.
fn read_ttls(url: &RegistryUrl) -> Result<(Duration, Duration), Error> {
    let read = |key| {
        let read = |text| {
            let duration = amount::parse_positive_duration(text);
            let ttl = duration.map_err(|why| url.wrong(&format!("`{key}`: {why}")))?;
            match TTLS.contains(&ttl) {
                true => Ok(ttl),
                false => Err(url.wrong(&format!("`{key}` is `{text}`: write 10ms to 24h"))),
            }
        };
        value(url, key).map(read).transpose()
    };
    match (read("min-ttl")?, read("max-ttl")?) {
        (Some(min), Some(max)) if min > max => Err(url.wrong(&format!(
            "`min-ttl` is {} and more than `max-ttl`, {}: exchange them",
            amount::show_duration(min),
            amount::show_duration(max)
        ))),
        (Some(min), None) => Ok((min, MAX_TTL.max(min))),
        (None, Some(max)) => Ok((MIN_TTL.min(max), max)),
        (min, max) => Ok((min.unwrap_or(MIN_TTL), max.unwrap_or(MAX_TTL))),
    }
}

fn read_server(url: &RegistryUrl, text: &str) -> Result<SocketAddr, Error> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = || bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, DNS_PORT));
    match text.parse().ok().or_else(alone) {
        Some(server) if server.port() != 0 => Ok(server),
        _ => Err(bad(url, "server", text, "IP or IP:PORT, such as 10.0.0.2 or [::1]:5353")),
    }
}

/// Fails with what is wrong with a name; the rules of host names, and `_` for those of SRV records.
fn check_name(name: &str) -> Result<(), String> {
    if name.parse::<IpAddr>().is_ok() {
        return Err("dns:// takes a name, for addresses write static://HOST:PORT".to_owned());
    }
    if !name.is_ascii() {
        return Err("the name has letters that DNS does not know: write its form in ASCII, \
                    which begins with xn--"
            .to_owned());
    }
    let absolute = name.strip_suffix('.').unwrap_or(name);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if let Some(odd) = absolute.chars().find(|c| !is_plain(*c) && *c != '.') {
        let odd = odd.escape_debug();
        return Err(format!(
            "the name has a `{odd}`: write letters, digits, `-`, `_`, and `.` between its parts"
        ));
    }
    if absolute.len() > 253 {
        return Err(format!("the name has {} letters and may have 253", absolute.len()));
    }
    match absolute.split('.').find(|part| part.is_empty() || part.len() > 63) {
        Some("") => Err("a part of the name is empty: write one `.` between two parts".to_owned()),
        Some(part) => Err(format!("a part of the name has {} letters and may have 63", part.len())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<DnsSettings, String> {
        DnsSettings::read(&RegistryUrl::parse(url).unwrap()).map_err(|error| error.to_string())
    }

    #[test]
    fn every_part_of_an_address_is_read() {
        let plain = read("dns://shop.internal:20880").unwrap();
        assert_eq!((&*plain.name, plain.records), ("shop.internal", RecordKind::Addresses(20880)));
        assert_eq!((plain.min_ttl, plain.max_ttl), (MIN_TTL, MAX_TTL));
        assert_eq!((plain.servers.len(), plain.families.len()), (0, 2));

        let full = read(
            "dns://_grpc._tcp.shop.?family=ipv6&server=127.0.0.1:5353,10.0.0.2,::1,[::1]:54\
             &min-ttl=100ms&max-ttl=2s&codecs=json&protocols=dubbo,json",
        )
        .unwrap();
        assert_eq!((full.records, full.families), (RecordKind::Srv, &[Family::V6][..]));
        let servers: Vec<_> = full.servers.iter().map(SocketAddr::to_string).collect();
        assert_eq!(servers, ["127.0.0.1:5353", "10.0.0.2:53", "[::1]:53", "[::1]:54"]);
        assert_eq!(full.min_ttl, Duration::from_millis(100));
        assert_eq!((full.codecs.len(), full.protocols.len()), (1, 2));

        assert_eq!(read("dns://shop?srv=true").unwrap().records, RecordKind::Srv);
        assert_eq!(read("dns://_x:1?srv=false").unwrap().records, RecordKind::Addresses(1));
    }

    #[test]
    fn a_bound_that_is_given_alone_moves_the_other() {
        let ttls = |query: &str| {
            let read = read(&format!("dns://shop:1?{query}")).unwrap();
            (read.min_ttl.as_secs(), read.max_ttl.as_secs())
        };
        assert_eq!(ttls("min-ttl=90s"), (90, 90));
        assert_eq!(ttls("max-ttl=2s"), (2, 2));
        assert_eq!(ttls("min-ttl=2s&max-ttl=3s"), (2, 3));
    }

    #[test]
    fn pauses_after_failures_grow_to_the_lower_bound_and_to_four_seconds_at_most() {
        let longest =
            |min: &str| read(&format!("dns://shop:1?min-ttl={min}")).unwrap().longest_pause();
        assert_eq!(longest("10ms"), Pace::default().first_pause);
        assert_eq!(longest("2s"), Duration::from_secs(2));
        assert_eq!(longest("20s"), Duration::from_secs(4));
    }

    #[test]
    fn people_are_told_what_is_asked_for_and_whom() {
        for (url, kinds, asked) in [
            ("dns://shop:1", "A or AAAA", "the name server of this machine"),
            ("dns://shop:1?family=ipv4&server=10.0.0.2", "A", "the name server 10.0.0.2:53"),
            (
                "dns://shop:1?family=ipv6&server=10.0.0.2,10.0.0.3:5",
                "AAAA",
                "each of the name servers 10.0.0.2:53, 10.0.0.3:5",
            ),
            ("dns://_a.shop?family=ipv4", "SRV", "the name server of this machine"),
        ] {
            let settings = read(url).unwrap();
            assert_eq!((settings.kinds(), &*settings.asked()), (kinds, asked), "{url}");
        }
    }

    #[test]
    fn wrong_addresses_say_what_to_write() {
        let long = format!("dns://{}:1", "a".repeat(64));
        let longer = format!("dns://{}a:1", "a.".repeat(127));
        for (url, why) in [
            ("dns://", "it takes one name, as in dns://shop.internal:20880"),
            ("dns://a:1,b:1", "it takes one name"),
            ("dns://shop", "A and AAAA records have no port, write it as in dns://shop.internal"),
            ("dns://_grpc._tcp.shop:1", "SRV records have the port, leave it out of the address"),
            ("dns://shop:1?srv=true", "SRV records have the port"),
            ("dns://shop:1?srv=yes", "`yes` is not a value of `srv`: write true or false"),
            ("dns://shop:1?family=6", "`6` is not a value of `family`: write ipv4 or ipv6"),
            ("dns://shop:1?server=ns.local", "`ns.local` is not a value of `server`: write IP or"),
            ("dns://shop:1?server=10.0.0.2:0", "`10.0.0.2:0` is not a value of `server`"),
            ("dns://shop:1?ttl=1s", "unknown parameter of dns:// `ttl`"),
            ("dns://shop:1?min-ttl=1", "`min-ttl`: `1` is not a duration"),
            ("dns://shop:1?max-ttl=0s", "`max-ttl`: 0 is too short"),
            ("dns://shop:1?max-ttl=1us", "`max-ttl` is `1us`: write 10ms to 24h"),
            ("dns://shop:1?min-ttl=25h", "`min-ttl` is `25h`: write 10ms to 24h"),
            ("dns://shop:1?min-ttl=9s&max-ttl=1s", "`min-ttl` is 9s and more than `max-ttl`, 1s"),
            ("dns://10.0.0.1:20880", "for addresses write static://HOST:PORT"),
            ("dns://[::1]:20880", "for addresses write static://HOST:PORT"),
            ("dns://sh*p:1", "the name has a `*`: write letters"),
            ("dns://shop..local:1", "a part of the name is empty"),
            ("dns://.:1", "a part of the name is empty"),
            ("dns://läden.example:1", "begins with xn--"),
            (&long, "a part of the name has 64 letters and may have 63"),
            (&longer, "the name has 255 letters and may have 253"),
            ("dns://shop:1/x", "dns:// takes no path"),
            ("dns://ann@shop:1", "dns:// takes no user name"),
        ] {
            let error = read(url).unwrap_err();
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
