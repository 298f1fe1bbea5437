//! Consistent hashing: the placement of Dubbo, the key of a call, and what moves when members come
//! and go. The places are those that Python's `hashlib` computes by Dubbo's rules.

mod support;

use std::sync::Arc;

use dubhe_cluster::load_balance::{ConsistentHash, ConsistentHashConfig, LoadBalance, builtin};
use dubhe_cluster::router::RouterChain;
use rpc_core::message::{DecodeError, Message, Read, Reader, Writer};
use rpc_core::{Body, ChannelState, Invocation, Method, MethodKind, Params, ServiceKey};
use support::simulation::address;
use support::*;
use tokio::time::Instant;

const THREE: [&str; 3] = ["10.0.0.1:20880", "10.0.0.2:20880", "10.0.0.3:20880"];
const FIVE: [&str; 5] = [
    "192.168.1.10:50051",
    "192.168.1.11:50051",
    "192.168.1.12:50051",
    "192.168.1.13:50051",
    "192.168.1.14:50051",
];

/// A list of arguments by their texts.
struct Arguments(&'static [&'static str]);

impl Message for Arguments {
    fn proto_len(&self) -> usize {
        0
    }

    fn encode_proto(&self, _: &mut bytes::BytesMut) -> Result<(), rpc_core::message::Problem> {
        Ok(())
    }

    fn merge_proto(
        &mut self,
        _: bytes::Bytes,
        _: &mut rpc_core::codec::Limits,
    ) -> Result<(), DecodeError> {
        Ok(())
    }

    fn argument_text(&self, index: usize, out: &mut String) -> bool {
        self.0.get(index).inspect(|text| out.push_str(text)).is_some()
    }

    fn write(&self, _: &mut dyn Writer) {}

    fn read(&mut self, _: &mut dyn Reader, _: &mut rpc_core::codec::Limits) -> Read {
        Ok(())
    }
}

fn of(arguments: &'static [&'static str]) -> Invocation {
    with_body(Body::typed(Arguments(arguments)))
}

fn with_body(body: Body) -> Invocation {
    let mut call = call();
    call.body = body;
    call
}

fn hashing(hash_nodes: u32, hash_arguments: &[usize]) -> ConsistentHash {
    let hash_arguments = hash_arguments.to_vec();
    ConsistentHash::new(ConsistentHashConfig { hash_nodes, hash_arguments })
        .expect("the parameters can work")
}

fn places(balancer: &ConsistentHash, addresses: &[&str], calls: &[Invocation]) -> Vec<usize> {
    let (net, now) = (Net::default(), Instant::now());
    let candidates = candidates_at(&net, addresses);
    calls.iter().map(|call| balancer.select(&candidates, call, now)).collect()
}

#[tokio::test]
async fn keys_are_placed_where_dubbo_places_them() {
    let keys: [&'static [&'static str]; 12] = [
        &[""],
        &["bob"],
        &["alice"],
        &["0"],
        &["42"],
        &["-7"],
        &["9223372036854775807"],
        &["true"],
        &["null"],
        &["Ünïcode ✓"],
        &["[1, 2, 3]"],
        &["a much longer key with spaces"],
    ];
    let calls = keys.map(of);
    let expected = [0, 0, 0, 0, 1, 0, 1, 0, 1, 2, 2, 0];
    assert_eq!(places(&hashing(160, &[0]), &THREE, &calls), expected);
    let expected = [0, 1, 0, 1, 2, 4, 2, 0, 1, 4, 4, 2];
    assert_eq!(places(&hashing(160, &[0]), &FIVE, &calls), expected);
    let expected = [0, 1, 0, 0, 4, 1, 1, 2, 1, 1, 0, 3];
    assert_eq!(places(&hashing(20, &[0]), &FIVE, &calls), expected);
}

#[tokio::test]
async fn the_key_is_the_text_of_the_chosen_arguments_or_the_hash_key_of_the_call() {
    let call = of(&["bob", "true"]);
    let place = |arguments: &[usize], call: &Invocation| {
        places(&hashing(160, arguments), &THREE, std::slice::from_ref(call))[0]
    };
    assert_eq!(place(&[0, 1], &call), 1, "`bobtrue`");
    assert_eq!(place(&[0, 9, 1], &call), 1, "what is not there is left out");
    assert_eq!(place(&[1], &call), place(&[0], &of(&["true"])));
    let keyed = |key| {
        let mut call = call.clone();
        call.hash_key = Some(key);
        call
    };
    let keys = [0, 1, 42, u64::MAX].map(|key| place(&[0], &keyed(key)));
    assert_eq!(keys, [0, 1, 1, 2], "the decimal text of the hash key, stronger than arguments");
}

#[tokio::test]
async fn a_body_that_came_as_bytes_is_placed_by_them() {
    let codec = codecs(&["json"]).first().clone();
    let of = |text: &'static str| {
        let bytes = bytes::Bytes::from_static(text.as_bytes());
        with_body(Body::from_bytes(codec.clone(), bytes))
    };
    let calls = ["bob", "42", "[1, 2, 3]"].map(of);
    assert_eq!(places(&hashing(160, &[0]), &THREE, &calls), [0, 1, 2]);
}

fn place_all(balancer: &ConsistentHash, members: &dubhe_cluster::Candidates) -> Vec<Arc<str>> {
    let now = Instant::now();
    let place = |key| {
        let index = balancer.select(members, &keyed(key), now);
        members.endpoints()[index].address().clone()
    };
    (0..10_000).map(place).collect()
}

#[tokio::test]
async fn only_the_keys_of_who_leaves_move_and_they_come_back() {
    let net = Net::default();
    let names: Vec<String> = (0..10).map(address).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    let balancer = hashing(160, &[0]);
    let before = place_all(&balancer, &candidates_at(&net, &names));
    let gone = names.remove(4);
    let without = place_all(&balancer, &candidates_at(&net, &names));
    let moved = before.iter().zip(&without).filter(|(a, b)| a != b).count();
    assert!(before.iter().zip(&without).all(|(a, b)| a == b || &**a == gone));
    assert!(moved <= 10_000 / 10 + 500, "{moved} of 10000 keys moved");
    names.insert(4, gone);
    assert_eq!(place_all(&balancer, &candidates_at(&net, &names)), before);
    // A ring made at once is the ring that grew.
    assert_eq!(place_all(&hashing(160, &[0]), &candidates_at(&net, &names)), before);
}

#[tokio::test(start_paused = true)]
async fn a_re_send_goes_where_the_ring_without_the_tried_ones_leads() {
    let fleet = Fleet::of(&THREE);
    let policy = dubhe_cluster::policy::Failover::new(1);
    let balancer = Arc::new(hashing(160, &[0]));
    let cluster = fleet.build(Arc::new(policy), balancer, RouterChain::default());
    fleet.mock(THREE[0]).answer(not_sent());
    let rest = candidates_at(&Net::default(), &THREE[1..]);
    let expected: Vec<Arc<str>> = place_all(&hashing(160, &[0]), &rest);
    for key in 0..50 {
        let before = [1, 2].map(|index| fleet.mock(THREE[index]).calls());
        cluster.invoke(keyed(key)).await.unwrap();
        let after = [1, 2].map(|index| fleet.mock(THREE[index]).calls());
        let own = places(&hashing(160, &[0]), &THREE, &[keyed(key)])[0];
        if own == 0 {
            let went = if after[0] > before[0] { THREE[1] } else { THREE[2] };
            assert_eq!(went, &*expected[key as usize], "key {key}");
        }
    }
}

/// To whom calls of the first 300 keys go.
async fn owners(fleet: &Fleet, cluster: &rpc_core::BoxInvoker) -> Vec<String> {
    let mut owners = Vec::new();
    for key in 0..300 {
        let before = fleet.net.counts();
        cluster.invoke(keyed(key)).await.expect("somebody is well");
        let after = fleet.net.counts();
        let called = after.into_iter().find(|(address, calls)| before[address] < *calls);
        owners.push(called.expect("somebody was called").0);
    }
    owners
}

#[tokio::test(start_paused = true)]
async fn the_keys_of_who_cannot_be_called_are_lent_to_others_and_come_back() {
    let fleet = Fleet::of(&FIVE);
    let policy = Arc::new(dubhe_cluster::policy::Failover::new(1));
    let cluster = fleet.build(policy, Arc::new(hashing(160, &[0])), RouterChain::default());
    let own = owners(&fleet, &cluster).await;
    for state in [ChannelState::Connecting, ChannelState::Down, ChannelState::Draining] {
        fleet.mock(FIVE[2]).set_state(state);
        let lent = owners(&fleet, &cluster).await;
        assert!(own.iter().zip(&lent).all(|(own, lent)| own == lent || own == FIVE[2]));
        let rest: Vec<&str> = FIVE.into_iter().filter(|address| *address != FIVE[2]).collect();
        let calls: Vec<Invocation> = (0..300).map(keyed).collect();
        let expected = places(&hashing(160, &[0]), &rest, &calls);
        assert!(lent.iter().zip(expected).all(|(lent, index)| lent == rest[index]));
        fleet.mock(FIVE[2]).set_state(ChannelState::Ready);
        assert_eq!(owners(&fleet, &cluster).await, own);
    }
}

/// So many that no call waits for their ring.
const MANY: usize = 500;

#[tokio::test]
async fn calls_go_by_the_last_ring_while_that_of_a_long_list_is_made() {
    let net = Net::default();
    let names: Vec<String> = (0..=MANY).map(address).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (without_last, without_first) = (&names[..MANY], &names[1..]);
    let balancer = hashing(160, &[0]);
    let before = place_all(&balancer, &candidates_at(&net, without_last));
    // One has left and one has come.
    let changed = candidates_at(&net, without_first);
    let expected = place_all(&hashing(160, &[0]), &changed);
    let moved = |key: &usize| expected[*key] != before[*key];
    let is_of_newcomer = |key: &usize| &*expected[*key] == names[MANY];
    let taken_over = (0..before.len()).find(is_of_newcomer).expect("it has keys");
    let given_up = (0..before.len()).find(|key| moved(key) && !is_of_newcomer(key));
    let given_up = given_up.expect("the other had keys");
    // Later than any rest after a ring.
    let later = Instant::now() + std::time::Duration::from_secs(3600);
    let place = |key: usize| {
        let index = balancer.select(&changed, &keyed(key as u64), later);
        changed.endpoints()[index].address().clone()
    };
    assert_eq!(place(taken_over), before[taken_over], "the newcomer is not on the ring yet");
    assert_eq!(place(given_up), expected[given_up], "who has left is walked past");
    let begun = Instant::now();
    while place(taken_over) != expected[taken_over] {
        assert!(begun.elapsed().as_secs() < 30, "the ring is never made");
        tokio::task::yield_now().await;
    }
    assert_eq!(place_all(&balancer, &changed), expected);
}

#[test]
fn parameters_that_cannot_work_are_refused() {
    for (params, told) in [
        (r#"{"hash_nodes": 3}"#, "hash_nodes: 3 is out of range: write 4 to 1000"),
        (r#"{"hash_nodes": 1001}"#, "hash_nodes: 1001 is out of range: write 4 to 1000"),
        (r#"{"hash_arguments": []}"#, "hash_arguments: an empty list would send all calls to one"),
        (r#"{"hash_arguments": [-1]}"#, "hash_arguments[0]: -1 is out of range: write a whole"),
        (r#"{"hash_arguments": ["id"]}"#, "hash_arguments[0]: \"id\" is not a whole number"),
        (r#"{"nodes": 3}"#, "unknown parameter of consistenthash `nodes`, available: hash_nodes, "),
    ] {
        let params: Params = serde_json::from_str(params).unwrap();
        let error = builtin().build("consistenthash", params).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_position_that_no_method_has_is_refused() {
    let method = |name: &str, count| {
        let method = Method::new(ServiceKey::new("shop.Stock"), name, MethodKind::Unary, true);
        method.with_arguments(count)
    };
    let (none, one) = (method("ping", Some(0)), method("look", Some(1)));
    let (three, unknown) = (method("move", Some(3)), method("dynamic", None));
    let told = |positions: &[usize], methods: &[&Method]| {
        let checked = hashing(160, positions).check(methods);
        checked.err().map(|error| error.to_string())
    };
    assert_eq!(told(&[0, 2], &[&none, &one, &three]), None, "one has it, the others do without");
    assert_eq!(told(&[0], &[&none]), None, "the default claims nothing");
    assert_eq!(told(&[9], &[&one, &unknown]), None, "who knows");
    for (positions, methods, message) in [
        (
            &[0, 3][..],
            &[&one, &three][..],
            "hash_arguments[1]: no method has an argument 3: shop.Stock/move has the most, 3, \
             write 0 to 2",
        ),
        (&[1], &[&one], "hash_arguments[0]: shop.Stock/look has no argument 1: it has 1, write 0"),
        (
            &[1],
            &[&none],
            "hash_arguments[0]: shop.Stock/ping has no argument 1: it has none, leave it out",
        ),
    ] {
        assert_eq!(told(positions, methods).as_deref(), Some(message));
    }
}
