//! A process that uses a registry and does nothing else: `as-idle URL`. What it costs is what it costs to keep
//! a list and a registration, and to come back to a registry that is away.

use dubhe::{Instance, ServiceKey};

use crate::{BoxError, fleet};

pub(crate) async fn run(args: &[String]) -> Result<(), BoxError> {
    let [url] = args else { return Err("want URL".into()) };
    let registry = registry::connect(url)?;
    let followed = registry.subscribe(&ServiceKey::new("chaos.Store")).await?;
    let instance = Instance::new(ServiceKey::new("chaos.Idle"), "127.0.0.1:9", "idle");
    let listed = registry.register(instance).await?;
    println!("ready nowhere");
    fleet::end_with_parent();
    std::future::pending::<()>().await;
    drop((followed, listed));
    Ok(())
}
