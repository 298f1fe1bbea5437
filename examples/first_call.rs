//! The README's first call: a provider and a consumer in one program, which then serves on.
//!
//! `cargo run --example first-call`, then in another terminal
//! `curl -d '["bob"]' http://127.0.0.1:20880/Greeter/hello`; Ctrl-C ends it.

use dubhe::prelude::*;

#[dubhe::service]
trait Greeter {
    #[rpc(idempotent)]
    async fn hello(&self, name: String) -> Result<String>;
}

struct Me;

impl Greeter for Me {
    async fn hello(&self, name: String) -> Result<String> {
        Ok(format!("hi {name}"))
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let provider = Provider::new("dev://").serve(GreeterServer::new(Me)).start().await?;
    let greeter = GreeterClient::connect("dev://").await?;
    println!("{}", greeter.hello("alice".into()).await?);
    provider.run().await?;
    Ok(())
}
