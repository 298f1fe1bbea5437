//! `dubhe registry`: serves the embedded registry until it is told to end.

use std::path::PathBuf;

use clap::Args;
use dubhe::config::Config;
use dubhe::embedded::{DEFAULT_PORT, EmbeddedServer};
use serde_json::json;

use crate::failure::Failure;
use crate::options::Options;
use crate::{Outcome, output};

/// Serve a registry for dubhe://HOST:PORT; --token is what it asks clients for.
#[derive(Debug, Args)]
pub(crate) struct Registry {
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value_t = format!("127.0.0.1:{DEFAULT_PORT}"))]
    listen: String,
    /// A folder to keep in what is registered, so that a restart forgets nothing; else in memory
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Registry {
    pub(crate) async fn run(self, options: &Options) -> Outcome {
        let mut end = End::listen()?;
        let mut server = EmbeddedServer::builder().listen(&*self.listen);
        // From the command line, the file or the environment, where others cannot read it.
        if let Some(token) = Config::load(options.sources()?)?.registry.token {
            // Such as `--token "$UNSET"`: nobody means a registry that is open to all by that.
            if token.expose().is_empty() {
                return Err(Failure::usage(
                    "the token is empty; give one, or leave --token and registry.token away for a \
                     registry that asks for none",
                ));
            }
            server = server.token(token.expose());
        }
        if let Some(folder) = &self.data {
            server = server.data_dir(folder);
        }
        let server = server.start().await?;
        let url = format!("dubhe://{}", server.local_addr());
        let restored = server.status().restored;
        match options.json {
            true => output::json(&json!({ "registry": url, "restored": restored }))?,
            false if restored > 0 => {
                output::text(format_args!("registry at {url}, {restored} instances restored\n"))?;
            }
            false => output::text(format_args!("registry at {url}\n"))?,
        }
        end.wait().await;
        server.shutdown().await;
        Ok(())
    }
}

/// SIGTERM or Ctrl-C, caught from the moment this is made: none is lost while the server starts.
#[cfg(unix)]
struct End {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl End {
    fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};

        let wrong = |error| Failure::failed(format!("cannot listen for signals: {error}"));
        let terminate = signal(SignalKind::terminate()).map_err(wrong)?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt()).map_err(wrong)? })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct End;

#[cfg(not(unix))]
impl End {
    fn listen() -> Result<Self, Failure> {
        Ok(Self)
    }

    async fn wait(&mut self) {
        // Where it cannot be listened for, only a kill ends the server.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
