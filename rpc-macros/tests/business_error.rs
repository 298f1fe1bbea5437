//! A typed business error travels from the handler to the caller inside one process.

mod wiring;

use dubhe_rpc_macros::{error, service};
use rpc_core::client::ServiceClient;
use rpc_core::{Code, Result, Status};

use crate::wiring::connect;

#[service(crate = rpc_core)]
trait Divider {
    async fn divide(&self, a: u32, by: u32) -> Result<u32, DivideError>;
    async fn halve(&self, a: u32) -> own::Result<u32> {
        self.divide(a, 2).await
    }
    async fn plain(&self) -> Result<u32, Status>;
}

/// An alias whose error is not written at the method.
mod own {
    pub(super) type Result<T> = std::result::Result<T, super::DivideError>;
}

#[error(crate = rpc_core)]
#[derive(Debug)]
enum DivideError {
    ByZero,
    Remainder {
        rest: u32,
    },
    #[rpc(status)]
    Status(Status),
}

struct Me;

impl Divider for Me {
    async fn divide(&self, a: u32, by: u32) -> Result<u32, DivideError> {
        if by == 7 {
            return Err(Status::aborted("not by seven"))?;
        }
        match a.checked_rem(by) {
            None => Err(DivideError::ByZero),
            Some(0) => Ok(a / by),
            Some(rest) => Err(DivideError::Remainder { rest }),
        }
    }

    async fn plain(&self) -> Result<u32> {
        Err(Status::not_found("nothing"))
    }
}

fn divider() -> DividerClient {
    connect(DividerServer::new(Me))
}

#[tokio::test]
async fn a_value_of_a_fallible_method_comes_back() {
    assert_eq!(divider().divide(84, 2).await.unwrap(), 42);
}

#[tokio::test]
async fn a_business_error_arrives_as_the_same_value() {
    let error = divider().divide(1, 0).await.unwrap_err();
    assert!(matches!(error, DivideError::ByZero), "{error:?}");
    let error = divider().divide(5, 3).await.unwrap_err();
    assert!(matches!(error, DivideError::Remainder { rest: 2 }), "{error:?}");
}

#[tokio::test]
async fn a_status_has_its_place_in_a_business_error() {
    let error = divider().divide(8, 7).await.unwrap_err();
    let DivideError::Status(status) = error else {
        panic!("{error:?} is no status");
    };
    assert_eq!((status.code(), status.message()), (Code::Aborted, "not by seven"));
    assert_eq!(status.call(), Some("Divider/divide"));
}

#[tokio::test]
async fn a_business_error_may_come_from_an_alias() {
    assert_eq!(divider().halve(84).await.unwrap(), 42);
    let error = divider().halve(5).await.unwrap_err();
    assert!(matches!(error, DivideError::Remainder { rest: 1 }), "{error:?}");
}

#[tokio::test]
async fn a_status_may_be_written_out() {
    let status = divider().plain().await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[test]
fn a_descriptor_names_the_business_error_and_no_status() {
    let methods = DividerClient::DESCRIPTOR.methods;
    let error = methods[0].error.map(|error| error().name);
    assert_eq!(error.as_deref(), Some("DivideError"));
    assert!(methods[1].error.is_some());
    assert!(methods[2].error.is_none());
}
