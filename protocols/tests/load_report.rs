//! What adaptive balancing asks of a provider, and what it tells.

mod support;

use std::time::Duration;

use rpc_core::client::ClientConfig;
use rpc_core::server::ServerConfig;
use support::{ECHO, SLOW_ECHO};

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn an_answer_tells_the_load_of_the_machine_to_those_who_ask() {
    let provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    for method in [ECHO, SLOW_ECHO] {
        let mut asking = support::invocation(method, "x", LONG);
        assert!(channel.invoke(asking.clone()).await.unwrap().metadata.is_empty());
        asking.metadata.insert("lb_adaptive", "mem,load");
        let told = channel.invoke(asking).await.unwrap().metadata;
        let told = told.value("lb_adaptive").unwrap();
        let (time, load) = told.split_once(",load:").unwrap();
        assert_eq!(load, "12.50");
        let time: u128 = time.strip_prefix("curTime:").unwrap().parse().unwrap();
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
        assert!(time <= now && now - time < LONG.as_millis(), "{told}");
    }
}
