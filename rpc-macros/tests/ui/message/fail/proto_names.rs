//! Names that no `.proto` can hold.

use dubhe_rpc_macros::{error, message};

#[message(crate = rpc_core, name = "My-Msg")]
struct Named {
    #[rpc(name = "a b")]
    a: u32,
    höhe: u32,
}

#[message(crate = rpc_core)]
struct Straße {}

#[allow(non_camel_case_types)]
#[message(crate = rpc_core)]
struct string {}

#[message(crate = rpc_core)]
enum Units {
    #[rpc(name = "1st")]
    First,
    Grün,
    #[rpc(name = "Value")]
    Second,
    A,
    ValueA,
}

#[error(crate = rpc_core)]
#[derive(Debug)]
enum Failure {
    #[rpc(name = "to-late")]
    Late,
    Later {
        #[rpc(name = "")]
        by: u32,
    },
    #[rpc(status)]
    Status(rpc_core::Status),
}

#[message(crate = rpc_core, reserved(2, 0, 2))]
struct Reserved {
    a: u32,
}

#[message(crate = rpc_core, reserved(4000000000))]
enum ReservedUnit {
    A,
}

fn main() {}
