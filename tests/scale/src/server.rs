//! The registry that is measured unless another is named: the embedded one, with room for everything.

use dubhe::embedded::{EmbeddedServer, RegistryServerConfig};

use crate::BoxError;
use crate::measure;
use crate::role::Orders;

pub(crate) async fn run() -> Result<(), BoxError> {
    let config = RegistryServerConfig {
        max_bytes_per_connection: 64 * 1024 * 1024,
        max_per_connection: 100_000,
        ..RegistryServerConfig::default()
    };
    let server = EmbeddedServer::bind("127.0.0.1:0", config).await?;
    println!("dubhe://{}", server.local_addr());
    let mut orders = Orders::new();
    while let Some((word, _)) = orders.next().await? {
        match &*word {
            "cpu" => println!("{}", measure::cpu()?.as_millis()),
            "memory" => println!("{}", measure::memory_kib()?),
            _ => return Err(format!("no order `{word}`").into()),
        }
    }
    Ok(())
}
