//! Long lists are read beside whatever else runs.

use std::pin::pin;

use tokio::task::yield_now;

use super::super::super::provider_url::provider_url;
use super::*;

/// Turns that other tasks get at least. If the list were read on this thread, there would be a few for each reading
/// of the tree.
const TURNS: usize = 200;

#[tokio::test]
async fn reading_a_long_list_leaves_the_thread_to_others() {
    let store: Arc<MemoryStore> = Arc::default();
    for number in 0..2000 {
        let name = provider_url(&instance("shop.Stock", &format!("10.0.0.1:{}", 1 + number)));
        store.write(&format!("/dubbo/shop.Stock/providers/{}", name.to_node_name()), "");
    }
    let (_, reader) = open(&store, "?register-consumer=false");
    let service = key("shop.Stock");
    let mut fetching = pin!(reader.fetch(&service));
    let mut turns = 0;
    let listing = loop {
        tokio::select! {
            biased;
            fetched = &mut fetching => break fetched.unwrap(),
            () = yield_now() => turns += 1,
        }
    };
    assert_eq!(listing.instances.len(), 2000);
    assert!(turns > TURNS, "{turns} turns");
}
