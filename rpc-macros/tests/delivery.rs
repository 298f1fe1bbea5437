//! What a handler fails with is an answer, whatever became of the calls it made itself.

mod wiring;

use dubhe_rpc_macros::service;
use rpc_core::{Code, Delivery, Result, Status};

/// Passes on how a call of its own ended.
#[service(crate = rpc_core)]
trait Outer {
    async fn pass_on(&self) -> Result<()>;
}

struct Passing;

impl Outer for Passing {
    async fn pass_on(&self) -> Result<()> {
        Err(Status::unavailable("the inner provider is full").with_delivery(Delivery::Refused))
    }
}

#[tokio::test]
async fn a_refusal_that_a_handler_passes_on_is_its_own_answer() {
    let outer: OuterClient = wiring::connect(OuterServer::new(Passing));
    let status = outer.pass_on().await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::Answered));
}
