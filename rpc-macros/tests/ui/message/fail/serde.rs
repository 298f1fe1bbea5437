use dubhe_rpc_macros::{error, message};
use rpc_core::Status;
use serde::{Deserialize, Serialize};

#[message(crate = rpc_core)]
#[serde(rename_all = "camelCase")]
struct Article {
    #[serde(rename = "number")]
    id: u64,
}

#[message(crate = rpc_core)]
#[derive(Debug, Serialize, Deserialize)]
struct Derived {
    id: u64,
}

#[message(crate = rpc_core)]
enum State {
    #[serde(rename = "open")]
    Open,
    Named {
        #[serde(default)]
        at: u32,
    },
}

#[message(crate = rpc_core)]
struct Sku(#[serde(with = "text")] u64);

#[error(crate = rpc_core)]
#[derive(Debug)]
enum Failure {
    #[serde(skip)]
    Gone,
    #[rpc(status)]
    Status(Status),
}

fn main() {}
