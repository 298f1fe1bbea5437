//! The registry process: `as-registry PORT` (0 takes a free one).

use dubhe::embedded::{EmbeddedServer, RegistryServerConfig};

use crate::{BoxError, parent_gone};

pub async fn run(args: &[String]) -> Result<(), BoxError> {
    let port: u16 = args.first().ok_or("the port is missing")?.parse()?;
    let server = EmbeddedServer::bind(("127.0.0.1", port), RegistryServerConfig::default()).await?;
    println!("ready {}", server.local_addr());
    parent_gone().await;
    Ok(())
}
