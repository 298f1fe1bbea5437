use dubhe_rpc_macros::message;

#[message(crate = rpc_core)]
struct Names {
    user_id: u32,
    #[rpc(name = "userId")]
    other: u32,
}

#[message(crate = rpc_core)]
enum Variants {
    OneTwo(u32),
    #[rpc(name = "one_two")]
    Other(u32),
}

#[message(crate = rpc_core)]
enum Units {
    OneTwo,
    #[rpc(name = "ONE_TWO")]
    Other,
}

fn main() {}
