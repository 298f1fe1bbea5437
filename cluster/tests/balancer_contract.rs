//! What every built-in balancer keeps to: any list, any weights, many threads, and no work that
//! grows with the list.

#![allow(clippy::disallowed_types, reason = "what a choice costs is real time")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe_cluster::load_balance::{LoadBalance, builtin};
use dubhe_cluster::{Candidates, Directory, DirectoryOptions};
use rpc_core::{Connector, Latest, Snapshot, Source, Subscription};
use support::simulation::{Rolls, address, seeded};
use support::*;
use tokio::time::Instant;

fn each(seed: u64, check: impl Fn(&str, &dyn LoadBalance)) {
    for name in builtin().names() {
        check(name, &*seeded(name, seed));
    }
}

fn choose(balancer: &dyn LoadBalance, candidates: &Candidates, keys: u64) -> Vec<usize> {
    let now = Instant::now();
    (0..keys).map(|key| balancer.select(candidates, &keyed(key), now)).collect()
}

#[tokio::test]
async fn a_choice_is_always_in_range_from_two_to_ten_thousand() {
    let net = Net::default();
    for len in [2, 3, 10, 100, 1000, 10_000] {
        let lists: Vec<Candidates> =
            [vec![100; len], vec![0; len], (0..len as u32).map(|index| index % 7).collect()]
                .map(|weights| weighted(&net, &weights))
                .into();
        each(1, |name, balancer| {
            for list in &lists {
                let chosen = choose(balancer, list, 20);
                assert!(chosen.iter().all(|index| *index < len), "{name} of {len}: {chosen:?}");
            }
        });
    }
}

#[tokio::test]
async fn a_weightless_endpoint_gets_nothing_while_there_are_others() {
    let net = Net::default();
    let weights: Vec<u32> =
        (0..50).map(|index| if index % 2 == 0 { 0 } else { 10 + index }).collect();
    let list = weighted(&net, &weights);
    each(2, |name, balancer| {
        let chosen = choose(balancer, &list, 2000);
        let spared = chosen.iter().all(|index| index % 2 == 1);
        // Where keys are depends on addresses alone, as in Dubbo.
        assert!(spared || name == "consistenthash", "{name}");
    });
}

#[tokio::test]
async fn weights_lists_and_parts_may_change_between_any_two_choices() {
    let net = Net::default();
    let mut rolls = Rolls(3);
    let lists: Vec<Candidates> = (0..40)
        .map(|_| {
            let len = 2 + rolls.below(30);
            let weights: Vec<u32> = (0..len).map(|_| rolls.below(4) as u32).collect();
            weighted(&net, &weights)
        })
        .collect();
    each(3, |name, balancer| {
        let mut rolls = Rolls(4);
        for key in 0..2000 {
            let list = &lists[rolls.below(lists.len() as u64) as usize];
            let index = balancer.select(list, &keyed(key), Instant::now());
            assert!(index < list.len(), "{name}");
        }
    });
}

/// The list of a directory whose warming instances have been up for so long.
async fn warming(seconds: [u64; 3]) -> Vec<u32> {
    let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let instances = (0..3).map(|index| {
        let mut instance = instance(&address(index));
        let started = since_epoch - Duration::from_secs(seconds[index]);
        instance.started_ms = u64::try_from(started.as_millis()).unwrap_or(0);
        instance
    });
    let first = Snapshot::new(instances.collect(), Source::Live);
    let (_push, snapshots) = Latest::channel(first);
    let connector: Arc<dyn Connector> = Arc::new(Net::default());
    let subscription = Subscription::new(snapshots, ());
    let options = DirectoryOptions::default();
    let directory = Directory::follow(service(), subscription, connector, options);
    directory.endpoints().iter().map(|endpoint| endpoint.weight()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_warming_instance_gets_the_share_of_its_warmth() {
    let weights = warming([9999, 300, 60]).await;
    assert_eq!(weights, [100, 50, 10]);
    let list = weighted(&Net::default(), &weights);
    each(5, |name, balancer| {
        let chosen = choose(balancer, &list, 16_000);
        let count = |whom| chosen.iter().filter(|index| **index == whom).count() as f64;
        // Chi-square of two degrees of freedom: 13.8 is passed once in a thousand runs.
        let expected = [10_000.0, 5_000.0, 1_000.0];
        let chi: f64 = (0..3).map(|i| (count(i) - expected[i]).powi(2) / expected[i]).sum();
        assert!(chi < 13.8 || name == "consistenthash", "{name}: chi-square {chi}");
    });
}

#[tokio::test]
async fn many_threads_choose_at_once_from_lists_that_change() {
    let net = Net::default();
    let lists = [[100; 20].to_vec(), [5, 1, 0, 3].to_vec(), [100; 19].to_vec()];
    let lists = lists.map(|weights| weighted(&net, &weights));
    each(6, |name, balancer| {
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let lists = &lists;
                scope.spawn(move || {
                    for key in 0..500 {
                        let list = &lists[((key + thread) % 3) as usize];
                        let index = balancer.select(list, &keyed(key), Instant::now());
                        assert!(index < list.len(), "{name}");
                    }
                });
            }
        });
    });
}

#[tokio::test]
async fn a_re_send_in_a_long_list_goes_elsewhere_and_by_key_where_a_list_without_leads() {
    let net = Net::default();
    let list = weighted(&net, &[100; 100]);
    each(9, |name, balancer| {
        for key in 0..100 {
            let (call, now) = (keyed(key), Instant::now());
            let tried = balancer.select(&list, &call, now);
            let other = balancer.select_left(&list, &call, now, &|index| index != tried);
            let other = other.unwrap_or_else(|| panic!("{name} goes over the whole list"));
            assert_ne!(other, tried, "{name}");
            if name == "consistenthash" {
                let mut rest = list.endpoints().to_vec();
                rest.remove(tried);
                let expected = seeded(name, 9).select(&Candidates::new(rest), &call, now);
                assert_eq!(other, expected + usize::from(expected >= tried));
            }
        }
    });
}

/// The quickest of several rounds, so that a busy machine does not decide.
fn cost(balancer: &dyn LoadBalance, list: &Candidates) -> Duration {
    let (now, call) = (Instant::now(), keyed(7));
    balancer.select(list, &call, now);
    let round = || {
        let begun = std::time::Instant::now();
        for _ in 0..50 {
            std::hint::black_box(balancer.select(list, &call, now));
        }
        begun.elapsed()
    };
    (0..40).map(|_| round()).min().unwrap_or_default()
}

#[tokio::test]
async fn a_choice_among_ten_thousand_costs_as_much_as_one_among_ten() {
    let net = Net::default();
    let [few, many] = [10, 10_000].map(|len| weighted(&net, &vec![100; len]));
    for name in builtin().names() {
        let balancer = seeded(name, 7);
        let (few, many) = (cost(&*balancer, &few), cost(&*balancer, &many));
        // Work along the list would make it a thousand times as much.
        assert!(many < 20 * few, "{name}: {few:?} among 10, {many:?} among 10000");
    }
}

#[tokio::test]
async fn the_score_of_what_is_taken_is_the_lowest() {
    let net = Net::default();
    let list = weighted(&net, &[100, 100]);
    let busy = list.endpoints()[0].clone();
    let _running: Vec<_> = (0..3).map(|_| busy.call(call(), Instant::now(), 1).unwrap()).collect();
    for name in builtin().names() {
        let (balancer, call, now) = (seeded(name, 8), keyed(5), Instant::now());
        let chosen = balancer.select(&list, &call, now);
        let scores = [0, 1].map(|index| balancer.score(&list, index, &call, now));
        match (name, scores) {
            ("random" | "roundrobin" | "adaptive", scores) => assert_eq!(scores, [None, None]),
            (_, [Some(one), Some(two)]) => {
                assert_eq!(chosen, usize::from(two < one), "{name}: {scores:?}");
                assert_ne!(one, two, "{name}");
            }
            _ => panic!("{name} has no scores: {scores:?}"),
        }
    }
}
