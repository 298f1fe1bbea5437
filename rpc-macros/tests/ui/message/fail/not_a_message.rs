use dubhe_rpc_macros::message;

struct Plain;

#[message(crate = rpc_core)]
struct Page<T> {
    items: Vec<T>,
}

fn send(_: impl rpc_core::message::Message) {}

fn main() {
    send(Plain);
    send(Page { items: vec![Plain] });
    rpc_core::__private::Returned(Plain);
    fail_with::<Plain>();
}

fn fail_with<E: rpc_core::message::BusinessError>() {}
