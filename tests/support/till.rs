//! A service that counts what is paid, behind a provider that is spoken to in bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dubhe::RunningProvider;
use dubhe::prelude::*;

use super::http::{Response, raw, send};
use super::memory;

/// The request line of a payment.
pub const LINE: &str = "POST /test.Till/pay HTTP/1.1";

#[dubhe::service(name = "test.Till")]
pub trait Till {
    /// Counts, and says what it was given.
    async fn pay(&self, to: String) -> Result<String>;
}

#[derive(Clone, Default)]
pub struct Counts(Arc<AtomicUsize>);

impl Till for Counts {
    async fn pay(&self, to: String) -> Result<String> {
        self.0.fetch_add(1, Ordering::AcqRel);
        Ok(to)
    }
}

/// A till that is open.
pub struct Running {
    _provider: RunningProvider,
    pub at: SocketAddr,
    paid: Counts,
}

impl Running {
    pub async fn with(toml: &str) -> Self {
        let paid = Counts::default();
        let provider = super::provider(&memory(), toml).serve(TillServer::new(paid.clone()));
        let provider = provider.start().await.unwrap();
        Self { at: provider.local_addr(), _provider: provider, paid }
    }

    /// Posts `["bob"]` with these headers, and nothing else but its length and `Host: localhost`.
    pub async fn post(&self, headers: &[(&str, &str)]) -> Response {
        send(self.at, "POST", "/test.Till/pay", headers, br#"["bob"]"#).await
    }

    /// Posts it with these lines as its whole head.
    pub async fn post_raw(&self, lines: &[&str]) -> Response {
        let head = format!("{}\r\ncontent-length: 7\r\n\r\n", lines.join("\r\n"));
        raw(self.at, &[head.as_bytes(), br#"["bob"]"#].concat()).await
    }

    /// Posts it under the name `host`.
    pub async fn named(&self, host: &str) -> Response {
        self.post_raw(&[LINE, &format!("Host: {host}")]).await
    }

    /// How many calls have run.
    pub fn paid(&self) -> usize {
        self.paid.0.load(Ordering::Acquire)
    }
}
