//! The provider's end.

use std::sync::{Mutex, PoisonError};

use dubhe::prelude::*;
use tokio::io::AsyncReadExt;

use crate::BoxError;
use crate::api::{Everything, Probe, ProbeClient, ProbeServer, Refusal};

#[derive(Default)]
struct Answers {
    noted: Mutex<Option<String>>,
}

impl Probe for Answers {
    async fn echo(&self, everything: Everything) -> Result<Everything> {
        Ok(everything)
    }

    async fn text_of(&self, bytes: u32) -> Result<String> {
        Ok("x".repeat(bytes as usize))
    }

    async fn refuse(&self, by: u64) -> Result<(), Refusal> {
        match by {
            0 => Err(Refusal::Missing("it".to_owned())),
            by => Err(Refusal::Short { what: "it".to_owned(), by }),
        }
    }

    async fn fail(&self) -> Result<()> {
        Err(Status::already_exists("as you asked"))
    }

    async fn lean(&self, address: String) -> Result<()> {
        let refused = |error: dubhe::Error| Status::invalid_argument(error.to_string());
        let client = ProbeClient::connect(&address).await.map_err(refused)?;
        client.hang().await
    }

    async fn beside(&self) -> Result<Vec<String>> {
        let call = CallContext::current().ok_or_else(|| Status::internal("no call"))?;
        Ok(call.metadata().iter().map(|(key, value)| format!("{key}={value:?}")).collect())
    }

    async fn note(&self, text: String) -> Result<()> {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        Ok(())
    }

    async fn noted(&self) -> Result<Option<String>> {
        Ok(self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn hang(&self) -> Result<()> {
        std::future::pending().await
    }
}

/// Serves until the input ends.
pub(crate) async fn run() -> Result<(), BoxError> {
    let provider = Provider::new("memory://peer").set("provider.port", 0);
    let provider =
        provider.set("provider.notice", "0s").serve(ProbeServer::new(Answers::default()));
    let running = provider.start().await?;
    println!("{}", running.address());
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    running.shutdown().await;
    Ok(())
}
