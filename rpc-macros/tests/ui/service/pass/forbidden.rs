//! Lints that a crate forbids, and what is deprecated.
#![forbid(missing_docs, dead_code, unreachable_pub, unused_variables)]
#![deny(warnings)]

use dubhe_rpc_macros::{error, message, service};
use rpc_core::{Result, Status};

/// A message.
#[message(crate = rpc_core)]
#[deprecated]
pub struct Old {
    /// A field.
    #[deprecated]
    pub field: u32,
}

/// An enum.
#[message(crate = rpc_core)]
pub enum Plain {
    /// One.
    One,
    /// Two.
    #[deprecated]
    Two,
}

/// An enum with data.
#[message(crate = rpc_core)]
pub enum Data {
    /// One.
    One,
    /// Two.
    #[deprecated]
    Two {
        /// A field.
        #[deprecated]
        field: u32,
    },
}

/// An error.
#[error(crate = rpc_core)]
#[derive(Debug)]
pub enum Failure {
    /// Late.
    #[deprecated]
    #[rpc(message = "late by {by}")]
    Late {
        /// How much.
        by: u32,
        /// Where.
        at: String,
    },
    /// Of the framework.
    #[rpc(status)]
    Status(Status),
}

/// A service.
#[service(crate = rpc_core)]
#[deprecated]
pub trait Shop {
    /// A method.
    #[deprecated]
    async fn old(&self, plain: Plain, data: Data) -> Result<Plain, Failure>;
    /// A method.
    async fn new(&self) -> Result<()>;
}

/// A service of deprecated types.
#[service(crate = rpc_core)]
#[allow(deprecated)]
pub trait Olds {
    /// A method.
    async fn old(&self, old: Old, and: u32) -> Result<Vec<Old>>;
}

mod inner {
    use dubhe_rpc_macros::service;
    use rpc_core::Result;

    /// Nobody implements or calls it.
    #[service(crate = rpc_core)]
    pub(crate) trait Unused {
        /// A method.
        async fn ping(&self) -> Result<()>;
    }
}

fn main() {
    fn used<T: inner::Unused>(it: &T) -> impl Future<Output = Result<()>> {
        it.ping()
    }
    let _ = used::<inner::UnusedClient>;
}
