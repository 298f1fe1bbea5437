//! The one address of everything generated code needs. No part of the public interface.

pub use std::future::Future;
pub use std::sync::Arc;

pub use async_trait::async_trait;
pub use bytes::{Bytes, BytesMut};
pub use {erased_serde, prost, serde};

pub use crate::client::{CallOptions, ServiceClient, Stub};
pub use crate::descriptor::*;
pub use crate::message::generated::*;
pub use crate::message::{BusinessError, Describe, Element, Field, Message, Returned, Value};
pub use crate::server::Handler;
pub use crate::*;
