//! A provider that answers, and beside it instances at addresses where nobody is, of no weight.

use std::ops::Range;
use std::sync::Arc;

use dubhe::prelude::*;
use registry::{Registration, Registry};
use rpc_core::{Instance, ServiceKey};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, interval};

use crate::BoxError;
use crate::consumer::{Echo, EchoServer};
use crate::measure::now_us;
use crate::role::Orders;

/// The parameter that says when an instance was changed, in microseconds since 1970.
pub(crate) const CHANGED: &str = "changed";

/// How many sessions share the instances, as if they were so many processes.
const SESSIONS: usize = 10;

/// How many instances a session registers at the same time, so that no request waits for longer than requests
/// may take.
const AT_ONCE: usize = 32;

struct Answers;

impl Echo for Answers {
    async fn echo(&self, number: u64) -> Result<u64> {
        Ok(number)
    }
}

/// Answers calls.
pub(crate) async fn run(url: &str) -> Result<(), BoxError> {
    let provider = Provider::new(url).set("provider.port", 0).serve(EchoServer::new(Answers));
    let _serving = provider.start().await?;
    println!("ready");
    let mut orders = Orders::new();
    while orders.next().await?.is_some() {}
    Ok(())
}

/// Lists instances that are not there.
pub(crate) async fn fill_on_orders(url: &str) -> Result<(), BoxError> {
    let open = || registry::connect(url);
    let sessions = (0..SESSIONS).map(|_| open()).collect::<Result<Vec<_>, _>>()?;
    let mut listed: Vec<(Instance, Registration)> = Vec::new();
    println!("ready");
    let mut orders = Orders::new();
    while let Some((word, numbers)) = orders.next().await? {
        match (&*word, &numbers[..]) {
            ("fill", [from, to, each]) => {
                listed = fill(&sessions, *from..*to, *each).await?;
                println!("filled");
            }
            ("churn", [rate, seconds]) => {
                churn(&mut listed, *rate, Duration::from_secs(*seconds as u64)).await?;
                println!("churned");
            }
            ("clear", []) => {
                clear(std::mem::take(&mut listed)).await?;
                println!("cleared");
            }
            _ => return Err(format!("no order `{word}`").into()),
        }
    }
    Ok(())
}

/// The name of the service `number`; the first of them answers.
pub(crate) fn service(number: usize) -> ServiceKey {
    match number {
        0 => ServiceKey::new("scale.Echo"),
        n => ServiceKey::new(&format!("scale.Service{n}")),
    }
}

/// One at an address where nobody is.
pub(crate) fn instance(service: ServiceKey, number: usize) -> Instance {
    let address = format!("10.{}.{}.{}:20880", number >> 16, (number >> 8) & 255, number & 255);
    let metadata = [("warmup", "600000"), ("zone", "north"), (CHANGED, "0")];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Instance {
        application: format!("scale-{}", service.interface()).into(),
        weight: 0,
        started_ms: 1_700_000_000_000,
        protocols: ["dubbo".to_owned(), "json".to_owned()].into(),
        codecs: ["protobuf".to_owned(), "msgpack".to_owned(), "json".to_owned()].into(),
        metadata: Arc::new(metadata.into()),
        ..Instance::new(service, &address, &format!("01890a5d-ac96-774b-bcce-{number:012x}"))
    }
}

/// Lists `each` instances of each of these services; returns when the registry has all of them.
async fn fill(
    sessions: &[Arc<dyn Registry>],
    services: Range<usize>,
    each: usize,
) -> Result<Vec<(Instance, Registration)>, BoxError> {
    let room = Arc::new(Semaphore::new(AT_ONCE * sessions.len()));
    let mut registering = JoinSet::new();
    for number in 0..services.len() * each {
        let registry = Arc::clone(&sessions[number % sessions.len()]);
        let instance = instance(service(services.start + number / each), number);
        let room = Arc::clone(&room);
        registering.spawn(async move {
            let _turn = room.acquire().await?;
            let guard = registry.register(instance.clone()).await?;
            guard.watch().wait_for(|is| *is).await?;
            Ok::<_, BoxError>((instance, guard))
        });
    }
    let mut listed = registering.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
    listed.sort_by(|a, b| a.0.id.cmp(&b.0.id));
    Ok(listed)
}

async fn clear(listed: Vec<(Instance, Registration)>) -> Result<(), BoxError> {
    let room = Arc::new(Semaphore::new(AT_ONCE * SESSIONS));
    let mut leaving = JoinSet::new();
    for (_, guard) in listed {
        let room = Arc::clone(&room);
        leaving.spawn(async move {
            let _turn = room.acquire().await?;
            Ok::<_, BoxError>(guard.unregister().await?)
        });
    }
    leaving.join_all().await.into_iter().collect()
}

/// Changes `rate` instances each second, one after the other.
async fn churn(
    listed: &mut [(Instance, Registration)],
    rate: usize,
    time: Duration,
) -> Result<(), BoxError> {
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(rate)?);
    let begun = Instant::now();
    let count = listed.len();
    for number in (0..count).cycle() {
        ticks.tick().await;
        if begun.elapsed() > time {
            break;
        }
        let (instance, guard) = &mut listed[number];
        let metadata = Arc::make_mut(&mut instance.metadata);
        metadata.insert(CHANGED.to_owned(), now_us().to_string());
        guard.update(instance.clone())?;
    }
    Ok(())
}
