//! `dubhe registry`: serves the embedded registry until it is told to end.

use clap::Args;
use dubhe::embedded::{DEFAULT_PORT, EmbeddedServer, ServerConfig};
use serde_json::json;

use crate::failure::Failure;
use crate::options::Options;
use crate::{Outcome, output};

/// Serve a registry for dubhe://HOST:PORT.
#[derive(Debug, Args)]
pub(crate) struct Registry {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value_t = format!("127.0.0.1:{DEFAULT_PORT}"))]
    listen: String,
}

impl Registry {
    pub(crate) async fn run(self, options: &Options) -> Outcome {
        let mut end = End::listen()?;
        let token = options.token.clone().unwrap_or_default();
        let config = ServerConfig { token, ..ServerConfig::default() };
        let server = EmbeddedServer::bind(self.listen.as_str(), config).await?;
        let url = format!("dubhe://{}", server.local_addr());
        match options.json {
            true => output::json(&json!({ "registry": url }))?,
            false => output::text(format_args!("registry at {url}\n"))?,
        }
        end.wait().await;
        drop(server);
        Ok(())
    }
}

/// SIGTERM or Ctrl-C.
struct End {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl End {
    /// Listens from now on, so that no signal is lost while the server starts.
    fn listen() -> Result<Self, Failure> {
        Ok(Self {
            #[cfg(unix)]
            terminate: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
                .map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")))?,
        })
    }

    async fn wait(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    }
}
