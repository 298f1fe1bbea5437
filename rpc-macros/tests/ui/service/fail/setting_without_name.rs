use dubhe_rpc_macros::{message, service};
use rpc_core::Result;

#[service("shop.Greeter")]
trait Greeter {
    #[rpc("say")]
    async fn hello(&self) -> Result<()>;
}

#[message("Article")]
struct Article {
    #[rpc("number")]
    id: u64,
}

fn main() {}
