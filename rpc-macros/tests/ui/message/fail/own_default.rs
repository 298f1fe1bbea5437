use dubhe_rpc_macros::message;

// No attribute knows of these; what says what to do is the name of the macro at the end.

#[derive(Default)]
#[message(crate = rpc_core)]
struct Above {
    id: u64,
}

#[message(crate = rpc_core)]
struct Written {
    id: u64,
}

impl Default for Written {
    fn default() -> Self {
        Self { id: 7 }
    }
}

#[message(crate = rpc_core)]
enum State {
    Open,
    Closed,
}

impl Default for State {
    fn default() -> Self {
        Self::Closed
    }
}

#[message(crate = rpc_core)]
struct Sku(u64);

impl Default for Sku {
    fn default() -> Self {
        Self(1)
    }
}

// These are said.

#[message(crate = rpc_core)]
#[derive(Default)]
struct Below {
    id: u64,
}

#[derive(Default)]
#[message(crate = rpc_core, own_default)]
struct Said {
    id: u64,
}

fn main() {}
