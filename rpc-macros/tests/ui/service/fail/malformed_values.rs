use dubhe_rpc_macros::service;

#[service(crate = "rpc_core", name = Greeter, group = "a/b", version = "")]
trait Greeter {
    #[rpc(idempotent = true, retries = "2", cluster = failfast, fallback = "")]
    async fn flags(&self) -> Result<()>;
    #[rpc(oneway, cluster = "fail fast", name = "say hello")]
    async fn names(&self) -> Result<()>;
    #[rpc(name, retries = -1)]
    async fn missing(&self) -> Result<()>;
    #[rpc(idempotent oneway)]
    async fn comma(&self) -> Result<()>;
    #[rpc]
    async fn empty(&self) -> Result<()>;
}

fn main() {}
