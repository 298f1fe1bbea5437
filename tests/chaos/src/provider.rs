//! A provider process: `as-provider NAME FOLDER [KEY=VALUE…]`; the settings are configuration keys.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dubhe::prelude::*;
use tokio::sync::Semaphore;

use crate::api::{Store, StoreClient, StoreServer};
use crate::ledger::{Kind, Ledger};
use crate::{BoxError, fleet};

struct Keeper {
    name: String,
    ledger: Ledger,
    failing: AtomicBool,
    /// Milliseconds that every call takes longer.
    slow: AtomicU64,
    /// Whom its own reads go to.
    upstream: Mutex<Option<StoreClient>>,
    /// What calls of `draw` queue for.
    places: Semaphore,
}

impl Keeper {
    async fn serve(&self, kind: Kind, id: u64, millis: u64) -> Result<String> {
        self.ledger.note(kind, id).map_err(|error| Status::internal(format!("ledger: {error}")))?;
        if self.failing.load(Ordering::Acquire) {
            return Err(Status::unavailable("as you asked"));
        }
        let millis = millis + self.slow.load(Ordering::Acquire);
        if millis > 0 {
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        Ok(self.name.clone())
    }
}

impl Store for Keeper {
    async fn read(&self, id: u64, millis: u64) -> Result<String> {
        self.serve(Kind::Read, id, millis).await
    }

    async fn find(&self, id: u64, millis: u64) -> Result<Option<String>> {
        self.serve(Kind::Read, id, millis).await.map(Some)
    }

    async fn write(&self, id: u64, millis: u64) -> Result<String> {
        self.serve(Kind::Write, id, millis).await
    }

    async fn note(&self, id: u64, millis: u64) -> Result<()> {
        self.serve(Kind::Write, id, millis).await.map(drop)
    }

    async fn mark(&self, id: u64, millis: u64) -> Result<()> {
        self.serve(Kind::Mark, id, millis).await.map(drop)
    }

    async fn tell(&self, id: u64, millis: u64) -> Result<String> {
        self.serve(Kind::Tell, id, millis).await
    }

    async fn lean(&self, id: u64) -> Result<String> {
        self.serve(Kind::Read, id, 0).await?;
        let upstream = self.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let upstream = upstream.ok_or_else(|| Status::failed_precondition("depends on nobody"))?;
        upstream.read(id, 1).await
    }

    async fn depend(&self, address: String) -> Result<()> {
        let settings = ["consumer.timeout=300ms", "consumer.retries=0"];
        let consumer = fleet::consumer(&format!("static://{address}"), &settings);
        let refused = |error: &dyn std::fmt::Display| Status::invalid_argument(error.to_string());
        let consumer = consumer.map_err(|error| refused(&error))?;
        let client: StoreClient = consumer.client().await.map_err(|error| refused(&error))?;
        *self.upstream.lock().unwrap_or_else(PoisonError::into_inner) = Some(client);
        Ok(())
    }

    async fn draw(&self, id: u64, millis: u64) -> Result<String> {
        let place = self.places.acquire().await;
        let _place = place.map_err(|error| Status::internal(format!("places: {error}")))?;
        self.serve(Kind::Write, id, millis).await
    }

    async fn hold(&self, id: u64, millis: u64) -> Result<String> {
        std::thread::sleep(Duration::from_millis(millis));
        self.serve(Kind::Write, id, 0).await
    }

    async fn fail(&self, failing: bool) -> Result<()> {
        self.failing.store(failing, Ordering::Release);
        Ok(())
    }

    async fn slow(&self, millis: u64) -> Result<()> {
        self.slow.store(millis, Ordering::Release);
        Ok(())
    }
}

pub(crate) async fn run(args: &[String]) -> Result<(), BoxError> {
    let [name, folder, settings @ ..] = args else { return Err("want NAME FOLDER".into()) };
    let keeper = Keeper {
        name: name.clone(),
        ledger: Ledger::open(Path::new(folder), name)?,
        failing: AtomicBool::new(false),
        slow: AtomicU64::new(0),
        upstream: Mutex::default(),
        places: Semaphore::new(8),
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
