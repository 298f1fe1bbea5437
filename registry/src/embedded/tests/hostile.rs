//! A server that turns clients away or talks nonsense: what its clients make of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut as _, BytesMut};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use rpc_core::Source;

use super::super::wire::{FrameReader, MAX_FROM_SERVER, ServerAnswer, ServerMessage, Version};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_client_without_the_token_says_so_and_does_not_hammer_the_server() {
    let piped = Arc::new(Piped::default());
    let config = RegistryServerConfig { token: "secret".to_owned(), ..no_withholding() };
    *locked(&piped.server) = Some((RegistryHost::start(config), JoinSet::new()));
    let registry = supervise(Arc::clone(&piped) as _, &RegistryParams::new("piped://"));
    let refused = registry.subscribe(&key()).await.unwrap_err();
    assert!(refused.is_refused(), "{refused}");
    assert!(refused.to_string().contains("it needs a token, set registry.token"), "{refused}");
    sleep(Duration::from_secs(60)).await;
    let attempts = locked(&piped.came).len();
    assert!((10..30).contains(&attempts), "{attempts} attempts in a minute");
}

/// A server that tells a good list, another for each session, and then something else.
#[derive(Debug, Default)]
struct Babbler {
    told: AtomicUsize,
    /// Between the list and what follows it; without one they come in one breath.
    pause: Duration,
    identity: Arc<Identity>,
}

#[async_trait]
impl Backend for Babbler {
    fn address(&self) -> String {
        "babbler://".to_owned()
    }

    async fn connect(&self, _: &Demand) -> Result<Arc<dyn Session>, Error> {
        let (ours, theirs) = duplex(1024 * 1024);
        let seed = self.told.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(babble(theirs, seed as u64, self.pause));
        Ok(Client::open(ours, ("babbler://", ""), &self.identity).await?)
    }
}

async fn babble(stream: DuplexStream, seed: u64, pause: Duration) {
    let (read, mut write) = tokio::io::split(stream);
    let mut reader = FrameReader::new(read, MAX_FROM_SERVER);
    while let Ok(Some(ClientMessage { id, ask })) = reader.next::<ClientMessage>().await {
        let is_watched = matches!(ask, Ask::Subscribe { .. });
        let answer = match ask {
            Ask::Hello { .. } => ServerAnswer::Welcome {
                renew_ms: 10_000,
                clients: 1,
                now_ms: 0,
                release: String::new(),
            },
            _ => ServerAnswer::Done {},
        };
        let _ = write.write_all(&frame(&ServerMessage::Answer { id, answer })).await;
        if is_watched {
            let addresses = ["a:1".to_owned(), format!("b:{seed}")];
            let instances = addresses.map(|address| Arc::new(instance(&address))).into();
            let listing = Version { revision: 1, instances, ..Version::default() };
            let good = frame(&ServerMessage::Push { service: key(), listing });
            let nonsense = nonsense(&good, seed);
            if pause.is_zero() {
                let _ = write.write_all(&[&*good, &*nonsense].concat()).await;
            } else {
                let _ = write.write_all(&good).await;
                sleep(pause).await;
                let _ = write.write_all(&nonsense).await;
            }
            sleep(Duration::from_secs(1)).await;
            return;
        }
    }
}

/// `good`, damaged in a way that can never be a list.
fn nonsense(good: &[u8], seed: u64) -> Vec<u8> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut body = good[4..].to_vec();
    let at = rng.random_range(1..body.len());
    match seed % 6 {
        0 => body.truncate(at),
        // Never valid within JSON.
        1 => body[at] = rng.random_range(0..0x20),
        2 => body[at] = rng.random_range(0x80..=0xff),
        3 => body = "[".repeat(rng.random_range(1..100_000)).into_bytes(),
        4 => body = br#"{"push":{"service":"shop.Inventory","listing":{"revision":-1}}}"#.to_vec(),
        _ => return (0..at).map(|_| rng.random()).collect(),
    }
    let mut framed = BytesMut::new();
    framed.put_u32(u32::try_from(body.len()).unwrap());
    framed.put_slice(&body);
    framed.to_vec()
}

#[tokio::test(start_paused = true)]
async fn nonsense_from_the_registry_changes_no_list() {
    let pause = Duration::from_millis(1);
    let babbler = Arc::new(Babbler { pause, ..Babbler::default() });
    let registry = supervise(Arc::clone(&babbler) as _, &RegistryParams::new("babbler://"));
    let mut list = registry.subscribe(&key()).await.unwrap();
    let seen = |list: &rpc_core::Snapshot| (list.instances.len(), list.source);
    let mut trouble = list.watch_trouble();
    while babbler.told.load(Ordering::Relaxed) < 3000 {
        tokio::select! {
            _ = trouble.changed() => {}
            next = list.next() => assert_eq!(seen(&next.unwrap()), (2, Source::Live)),
        }
    }
    assert_eq!(seen(&list.latest()), (2, Source::Live));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_came_whole_counts_although_nonsense_follows_in_the_same_breath() {
    const SESSIONS: usize = 300;
    let babbler = Arc::new(Babbler::default());
    let registry = supervise(Arc::clone(&babbler) as _, &RegistryParams::new("babbler://"));
    let mut list = registry.subscribe(&key()).await.unwrap();
    let mut seen = vec![list.latest()];
    while babbler.told.load(Ordering::Relaxed) < SESSIONS {
        let next = timeout(Duration::from_secs(60), list.next()).await;
        seen.extend(next.expect("no list of a minute's sessions arrived"));
    }
    let mut told: Vec<_> = seen.iter().map(|list| list.instances[1].address.to_string()).collect();
    told.dedup();
    let all: Vec<_> = (0..told.len()).map(|session| format!("b:{session}")).collect();
    assert_eq!(told, all, "a session's list was lost");
}

#[tokio::test(start_paused = true)]
async fn a_bad_instance_of_a_pushed_list_costs_neither_the_others_nor_the_session() {
    let (ours, theirs) = duplex(1024 * 1024);
    tokio::spawn(async move {
        let (read, mut write) = tokio::io::split(theirs);
        let mut reader = FrameReader::new(read, MAX_FROM_SERVER);
        while let Ok(Some(ClientMessage { id, ask })) = reader.next::<ClientMessage>().await {
            let answer = match ask {
                Ask::Hello { .. } => ServerAnswer::Welcome {
                    renew_ms: 10_000,
                    clients: 1,
                    now_ms: 0,
                    release: String::new(),
                },
                _ => ServerAnswer::Done {},
            };
            write.write_all(&frame(&ServerMessage::Answer { id, answer })).await.unwrap();
            let good = serde_json::to_value(instance("a:1")).unwrap();
            let mut list = vec![good.clone(), serde_json::json!(null), good];
            list[0]["codecs"] = serde_json::json!([7]);
            let push = serde_json::json!({"push": {"service": "shop.Inventory",
                "listing": {"revision": 1, "instances": list}}});
            write.write_all(&frame(&push)).await.unwrap();
        }
    });
    let client = Client::open(ours, ("test", ""), &Identity::random()).await.unwrap();
    let (updates, mut list) = Updates::new(0);
    let service = key();
    tokio::select! {
        ended = client.watch(&service, &updates) => panic!("{ended:?}"),
        _ = list.changed() => {}
        () = sleep(Duration::from_secs(1)) => panic!("no list"),
    }
    assert_eq!(list.borrow().value.as_ref().unwrap().instances, [instance("a:1").into()]);
    assert!(client.reason().is_none());
}
