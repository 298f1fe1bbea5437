//! What one time of asking makes of the records of a name, with a real name server. That they are asked for again is in
//! `registry/tests/dns.rs`.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::poll;
use hickory_resolver::proto::rr::Name;
use rpc_core::Error;
use servers::Dnsmasq;
use tokio::time::{advance, timeout};

use super::ask::{Asker, DnsAnswer, LOOK_UP_LIMIT};
use super::resolver::DnsResolver;
use super::settings::DnsSettings;
use crate::RegistryUrl;

/// More than anything here may take.
const LIMIT: Duration = Duration::from_secs(60);

/// An asker for the name, at this server.
fn asker(server: &Dnsmasq, name: &str, query: &str) -> Asker {
    Asker::new(settings(server, name, query))
}

fn settings(server: &Dnsmasq, name: &str, query: &str) -> Arc<DnsSettings> {
    let url = format!("dns://{name}?server={}{query}", server.address());
    Arc::new(DnsSettings::read(&RegistryUrl::parse(&url).unwrap()).unwrap())
}

/// An asker whose name may stand for each of `names`.
fn asker_of(server: &Dnsmasq, names: &[&str]) -> Asker {
    let settings = settings(server, "any.test:1", "");
    let mut resolver = DnsResolver::open(&settings).unwrap();
    resolver.names = names.iter().map(|name| Name::from_ascii(name).unwrap()).collect();
    Asker::with(settings, resolver)
}

fn listed(answer: Result<DnsAnswer, Error>) -> Vec<(String, u32)> {
    let weights = answer.unwrap().weights;
    weights.into_iter().map(|(at, weight)| (at.to_string(), weight)).collect()
}

fn seconds(answer: Result<DnsAnswer, Error>) -> f64 {
    answer.unwrap().ask_again.as_secs_f64()
}

#[tokio::test]
async fn the_first_full_form_of_a_name_that_has_records_counts() {
    let Some(server) = Dnsmasq::start(
        "host-record=a.test,10.0.0.1\nhost-record=b.test,10.0.0.2\ntxt-record=bare.test,hello",
    ) else {
        return;
    };
    for (names, expected) in [
        (&["a.test.", "b.test."][..], Ok("10.0.0.1:1")),
        (&["gone.test.", "b.test.", "a.test."], Ok("10.0.0.2:1")),
        (&["bare.test.", "b.test."], Ok("10.0.0.2:1")),
        // Of this one nobody can say anything: a later one may be another name.
        (&["a.example.", "b.test."], Err("answers with an error")),
        (&["bare.test.", "gone.test."], Err("has no A or AAAA records")),
        (&["gone.test.", "lost.test."], Err("does not exist")),
    ] {
        let answer = asker_of(&server, names).ask().await;
        match expected {
            Ok(address) => assert_eq!(listed(answer), [(address.to_owned(), 100)], "{names:?}"),
            Err(why) => {
                let error = answer.unwrap_err().to_string();
                assert!(error.contains(why), "{names:?}: {error}");
            }
        }
    }
}

#[tokio::test]
async fn a_form_that_was_answered_and_becomes_empty_is_not_left_for_a_later_one() {
    let Some(server) = Dnsmasq::start("local=/test/\nhost-record=b.test,10.0.0.2") else { return };
    server.set(&[("10.0.0.1", "a.test")]);
    let mut asker = asker_of(&server, &["gone.test.", "a.test.", "b.test."]);
    let mut seen = Vec::new();
    // The server takes note of what is set in its own time.
    let filling = async {
        while seen.last().is_none_or(|at| at != "10.0.0.1:1") {
            asker = asker_of(&server, &["gone.test.", "a.test.", "b.test."]);
            seen = listed(asker.ask().await).into_iter().map(|(at, _)| at).collect();
        }
    };
    timeout(LIMIT, filling).await.expect("it is not listed");
    server.set(&[]);
    let emptying = async {
        loop {
            match asker.ask().await {
                Ok(answer) => assert_eq!(listed(Ok(answer)), [("10.0.0.1:1".to_owned(), 100)]),
                Err(error) => return error.to_string(),
            }
        }
    };
    let error = timeout(LIMIT, emptying).await.expect("it stays");
    assert!(error.contains("does not exist"), "{error}");
}

#[test]
fn name_servers_of_the_machine_that_are_not_read_in_time_are_an_answer_that_failed() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().start_paused(true).max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let (done, wait) = std::sync::mpsc::channel::<()>();
        // All threads that may wait for the disk do.
        let busy = tokio::task::spawn_blocking(move || wait.recv());
        let url = RegistryUrl::parse("dns://shop.test:1").unwrap();
        let mut asker = Asker::new(Arc::new(DnsSettings::read(&url).unwrap()));
        let mut asking = Box::pin(asker.ask());
        assert!(poll!(&mut asking).is_pending());
        advance(LOOK_UP_LIMIT + Duration::from_millis(1)).await;
        let Poll::Ready(answer) = poll!(&mut asking) else { panic!("it waits on") };
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("are not read"), "{error}");
        drop(done);
        let _ = busy.await;
    });
}

#[tokio::test]
async fn an_answer_stands_as_long_as_the_first_of_its_records() {
    let Some(server) = Dnsmasq::start(
        "host-record=long.test,10.0.0.1,50\nhost-record=short.test,10.0.0.2,20\n\
         cname=brief.test,long.test,15\ncname=lasting.test,short.test,55\n\
         local-ttl=40\nsrv-host=_a._tcp.test,long.test,1,1,1\n\
         srv-host=_b._tcp.test,long.test,1,1,1\nsrv-host=_b._tcp.test,short.test,1,1,1\n\
         host-record=now.test,10.0.0.3,0",
    ) else {
        return;
    };
    for (name, query, expected) in [
        ("long.test:1", "", 50.0),
        // The name in between leads elsewhere when its time is over.
        ("brief.test:1", "", 15.0),
        ("lasting.test:1", "", 20.0),
        ("_a._tcp.test", "", 40.0),
        ("_b._tcp.test", "", 20.0),
        ("long.test:1", "&max-ttl=30s", 30.0),
        ("short.test:1", "&min-ttl=45s", 45.0),
        ("now.test:1", "", 5.0),
    ] {
        let answer = asker(&server, name, query).ask().await;
        assert_eq!(seconds(answer), expected, "{name}{query}");
    }
}

#[tokio::test]
async fn a_list_of_which_a_part_is_old_is_asked_for_again_as_soon_as_may_be() {
    let Some(server) = Dnsmasq::start("local-ttl=40") else { return };
    let both = [("10.0.0.1", "shop.example"), ("fd00::1", "shop.example")];
    let mut asker = asker(&server, "shop.example:1", "&min-ttl=7s");
    // The server takes note of what is set in its own time.
    server.set(&both);
    asks_until(&mut asker, Duration::from_secs(40)).await;
    // It says nothing any more of addresses of the other kind.
    server.set(&both[..1]);
    asks_until(&mut asker, Duration::from_secs(7)).await;
    // The last that it said of them is kept for as long as it says nothing.
    asks_until(&mut asker, Duration::from_secs(7)).await;
}

/// Asks until both addresses are listed and stand for so long.
async fn asks_until(asker: &mut Asker, expected: Duration) {
    let asking = async {
        loop {
            let answer = asker.ask().await;
            let is_it =
                |answer: DnsAnswer| answer.weights.len() == 2 && answer.ask_again == expected;
            if answer.is_ok_and(is_it) {
                return;
            }
        }
    };
    timeout(LIMIT, asking).await.unwrap_or_else(|_| panic!("nothing stands for {expected:?}"));
}

#[tokio::test]
async fn srv_records_may_say_that_nobody_offers_it_or_lead_to_one_address_twice() {
    let Some(server) = Dnsmasq::start(
        "host-record=a.test,10.0.0.1\nsrv-host=_none._tcp.test\n\
         srv-host=_twice._tcp.test,a.test,7,1,3\nsrv-host=_twice._tcp.test,also.test,7,1,4\n\
         host-record=also.test,10.0.0.1\n\
         srv-host=_lost._tcp.test,a.example,7,1,1\nsrv-host=_lost._tcp.test,a.test,7,2,1\n\
         srv-host=_bare._tcp.test,gone.test,7,1,1",
    ) else {
        return;
    };
    let error = asker(&server, "_none._tcp.test", "").ask().await.unwrap_err().to_string();
    assert!(
        error.contains("the SRV record of `_none._tcp.test` says that nobody offers"),
        "{error}"
    );
    let twice = asker(&server, "_twice._tcp.test", "").ask().await;
    assert_eq!(listed(twice), [("10.0.0.1:7".to_owned(), 700)]);
    // Nobody can say whether those of the first priority are there: the others are not for us yet.
    let error = asker(&server, "_lost._tcp.test", "").ask().await.unwrap_err().to_string();
    assert!(error.contains("answers with an error"), "{error}");
    let error = asker(&server, "_bare._tcp.test", "").ask().await.unwrap_err().to_string();
    assert!(error.contains("no target of the SRV records of `_bare._tcp.test` has an"), "{error}");
}

#[tokio::test]
async fn weights_are_shared_by_the_addresses_of_a_target_and_stay_above_zero() {
    let mut config =
        "srv-host=_a._tcp.test,many.test,7,1,1\nsrv-host=_a._tcp.test,few.test,7,1,2\n\
                      host-record=few.test,10.0.0.1,fd00::1\n"
            .to_owned();
    (1..=150).for_each(|i| config += &format!("host-record=many.test,10.0.1.{i}\n"));
    let Some(server) = Dnsmasq::start(&config) else { return };
    let listed = listed(asker(&server, "_a._tcp.test", "").ask().await);
    assert_eq!(listed.len(), 152);
    for (at, weight) in listed {
        assert_eq!(weight, if at.starts_with("10.0.1.") { 1 } else { 100 }, "{at}");
    }
}
