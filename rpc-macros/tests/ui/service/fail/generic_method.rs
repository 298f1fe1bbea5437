use dubhe_rpc_macros::service;

#[service(crate = rpc_core)]
trait Greeter {
    async fn of_a_type<T: Send>(&self, value: T) -> Result<()>;
    async fn of_a_const<const N: usize>(&self) -> Result<()>;
    async fn of_a_lifetime<'a>(&self, value: u8) -> Result<()>;
    async fn with_a_clause(&self, value: u8) -> Result<()>
    where
        u8: Copy;
}

fn main() {}
