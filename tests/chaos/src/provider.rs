//! A provider process: `as-provider NAME LEDGER [KEY=VALUE…]`; the settings are configuration keys.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dubhe::prelude::*;

use crate::api::{Store, StoreServer};
use crate::ledger::Ledger;
use crate::{BoxError, fleet};

struct Keeper {
    name: String,
    ledger: Ledger,
    failing: AtomicBool,
}

impl Keeper {
    async fn serve(&self, id: u64, millis: u64) -> Result<String> {
        let noted = self.ledger.note(id);
        noted.map_err(|error| Status::internal(format!("ledger: {error}")))?;
        if self.failing.load(Ordering::Acquire) {
            return Err(Status::unavailable("as you asked"));
        }
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        Ok(self.name.clone())
    }
}

impl Store for Keeper {
    async fn read(&self, id: u64, millis: u64) -> Result<String> {
        self.serve(id, millis).await
    }

    async fn write(&self, id: u64, millis: u64) -> Result<String> {
        self.serve(id, millis).await
    }

    async fn fail(&self, failing: bool) -> Result<()> {
        self.failing.store(failing, Ordering::Release);
        Ok(())
    }
}

pub(crate) async fn run(args: &[String]) -> Result<(), BoxError> {
    let [name, ledger, settings @ ..] = args else { return Err("want NAME LEDGER".into()) };
    let keeper = Keeper {
        name: name.clone(),
        ledger: Ledger::open(Path::new(ledger))?,
        failing: AtomicBool::new(false),
    };
    let mut provider = Provider::builder().set("application.name", name.as_str());
    for setting in settings {
        let (key, value) = fleet::setting(setting)?;
        provider = provider.set(key, value);
    }
    let running = provider.serve(StoreServer::new(keeper)).start().await?;
    while !running.is_registered() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("ready {}", running.address());
    fleet::end_with_parent();
    let report = running.run().await?;
    println!("cut {}", report.cut_calls);
    Ok(())
}
