use dubhe_rpc_macros::service;
use rpc_core::Result;

#[service(crate = rpc_core)]
trait Greeter {
    async fn hello(&self) -> Result<()>;
}

struct Me;

impl Greeter for Me {
    async fn hello(&self) -> Result<()> {
        let kept = std::rc::Rc::new(1);
        std::future::ready(()).await;
        drop(kept);
        Ok(())
    }
}

fn main() {}
