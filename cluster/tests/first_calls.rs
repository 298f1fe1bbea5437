//! What the first calls of an endpoint teach its balancer, and what they must not.

mod support;

use std::time::Duration;

use dubhe_cluster::load_balance;
use dubhe_cluster::policy::Failfast;
use dubhe_cluster::router::RouterChain;
use rpc_core::{ChannelState, Params};
use support::*;

const ADDRESSES: [&str; 3] = ["a:1", "b:1", "c:1"];

/// One caller, providers that are alike, connections that take long to open: nobody is left with
/// what its first caller waited for.
#[tokio::test(start_paused = true)]
async fn the_time_to_connect_is_not_held_against_an_endpoint() {
    for name in ["adaptive", "p2c", "shortestresponse"] {
        let fleet = Fleet::of(&ADDRESSES);
        for (address, connecting) in ADDRESSES.iter().zip([2, 40, 90]) {
            let mock = fleet.mock(address);
            mock.set_state(ChannelState::Idle);
            mock.answer_next([Answer::After(Duration::from_millis(connecting))]);
            mock.answer(Answer::After(Duration::from_millis(1)));
        }
        let balancer = load_balance::builtin().build(name, Params::new()).unwrap();
        let cluster = fleet.build(std::sync::Arc::new(Failfast), balancer, RouterChain::default());
        for _ in 0..600 {
            cluster.invoke(call()).await.unwrap();
            for mock in ADDRESSES.map(|address| fleet.mock(address)) {
                if mock.calls() == 1 {
                    mock.set_state(ChannelState::Ready);
                }
            }
        }
        let counts = fleet.net.counts();
        assert!(counts.values().all(|calls| *calls > 60), "{name}: {counts:?}");
    }
}
