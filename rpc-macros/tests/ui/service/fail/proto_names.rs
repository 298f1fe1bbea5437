//! Names that neither addresses nor a `.proto` can hold.

use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Größe {
    async fn zähle(&self) -> Result<()>;
    #[rpc(name = "find")]
    async fn suche(&self, größe: u32, b: u32) -> Result<()>;
}

fn main() {}
