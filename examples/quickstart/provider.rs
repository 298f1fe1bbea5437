//! A provider process: `as-provider NAME PORT LEDGER`; the registry is named by the environment.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dubhe::prelude::*;

use crate::api::{Count, Stock, StockServer};
use crate::ledger::Ledger;
use crate::{BoxError, parent_gone};

/// How long an answer takes, as if a database were asked.
const WORK: Duration = Duration::from_millis(2);

struct Shop {
    name: String,
    ledger: Arc<Ledger>,
}

impl Stock for Shop {
    async fn count(&self, article: u64) -> Result<Count> {
        let unwritten = |error: std::io::Error| Status::internal(format!("ledger: {error}"));
        self.ledger.begin().map_err(unwritten)?;
        tokio::time::sleep(WORK).await;
        self.ledger.end().map_err(unwritten)?;
        Ok(Count { article, pieces: (article % 100) as u32, provider: self.name.clone() })
    }
}

pub async fn run(args: &[String]) -> Result<(), BoxError> {
    let [name, port, ledger] = args else { return Err("want NAME PORT LEDGER".into()) };
    let ledger = Arc::new(Ledger::create(Path::new(ledger))?);
    let provider = Provider::builder()
        .set("application.name", name.as_str())
        .set("provider.port", port.parse::<u16>()?)
        .serve(StockServer::new(Shop { name: name.clone(), ledger }));
    let running = provider.start().await?;
    println!("ready {}", running.address());
    parent_gone().await;
    let report = running.shutdown().await;
    // Whoever listens may be gone.
    let _ = writeln!(std::io::stdout(), "drained {}", report.cut_calls);
    Ok(())
}
