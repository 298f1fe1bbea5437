use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn with(&self) -> Result<()>;
    async fn broadcast(&self) -> Result<()>;
    async fn connect(&self, to: String) -> Result<()>;
    async fn clone(&self) -> Result<()>;
    async fn as_ref(&self) -> Result<()>;
    async fn from_stub(&self) -> Result<()>;
    async fn stub(&self) -> Result<()>;
    async fn to_owned(&self) -> Result<()>;
    async fn into(&self) -> Result<()>;
    async fn try_into(&self) -> Result<()>;
    async fn hello(&self) -> Result<()>;
    async fn boxed_hello(&self) -> Result<()>;
    async fn boxed_goodbye(&self) -> Result<()>;
}

fn main() {}
