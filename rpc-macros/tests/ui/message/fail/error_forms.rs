use dubhe_rpc_macros::error;
use rpc_core::Status;

#[error(crate = rpc_core)]
#[derive(Debug)]
struct NoEnum {
    reason: String,
}

#[error(crate = rpc_core)]
#[derive(Debug)]
enum TextStatus {
    Gone,
    #[rpc(status)]
    Status(String),
}

#[error(crate = rpc_core)]
#[derive(Debug)]
enum BoxedStatus {
    Gone,
    #[rpc(status)]
    Status(Box<Status>),
}

fn main() {}
