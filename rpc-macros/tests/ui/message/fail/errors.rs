use dubhe_rpc_macros::error;
use rpc_core::Status;

#[error(crate = rpc_core)]
#[derive(Debug)]
enum NoStatus {
    NotFound,
}

#[error(crate = rpc_core)]
#[derive(Debug)]
enum TwoStatuses {
    NotFound,
    #[rpc(status)]
    Status(Status),
    #[rpc(status)]
    Other(Status),
}

#[error(crate = rpc_core)]
#[derive(Debug)]
enum OnlyStatus {
    #[rpc(status)]
    Status(Status),
}

#[error(crate = rpc_core)]
#[derive(Debug)]
enum EmptyStatus {
    #[rpc(code = "no_such_code")]
    NotFound,
    #[rpc(status)]
    Status,
}

fn main() {}
