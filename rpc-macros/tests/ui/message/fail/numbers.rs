use dubhe_rpc_macros::message;

#[message(crate = rpc_core, reserved(2, 3))]
struct Numbers {
    #[rpc(tag = 2)]
    reserved: u32,
    #[rpc(tag = 5)]
    five: u32,
    #[rpc(tag = 5)]
    duplicate: u32,
    #[rpc(tag = 0)]
    zero: u32,
    #[rpc(tag = 536870912)]
    too_large: u32,
    #[rpc(tag = 19000)]
    protobufs_own: u32,
    #[rpc(tag = 4)]
    four: u32,
    meets_five: u32,
}

#[message(crate = rpc_core)]
enum Unit {
    First = 1,
    Second = 2,
    Duplicate = 2,
    Computed = 1 + 3,
    #[rpc(tag = 4294967295)]
    TooLarge,
}

#[message(crate = rpc_core, reserved(1))]
enum Reserved {
    Zero,
    One = 1,
}

#[message(crate = rpc_core)]
enum Data {
    #[rpc(tag = 1)]
    One(u32),
    #[rpc(tag = 1)]
    Two { text: String },
}

fn main() {}
