use dubhe_rpc_macros::message;

#[message(crate = rpc_core, reserve(1))]
struct OnTheType {
    field: u32,
}

#[message(crate = rpc_core)]
struct OnTheField {
    #[rpc(number = 3)]
    unknown: u32,
    #[rpc(tag = "3")]
    text: u32,
    #[rpc(code = "not_found")]
    of_errors: u32,
}

fn main() {}
