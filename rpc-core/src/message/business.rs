//! Typed business errors: enums that travel in the details of a [`Status`].

use std::any::TypeId;
use std::sync::Arc;

use super::Message;
use crate::body::Body;
use crate::descriptor::MessageType;
use crate::status::{Code, Details, Status};

/// What a method may fail with: a [`Status`], or an enum with `#[dubhe::error]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the error of a method",
    label = "not a business error",
    note = "put `#[dubhe::error]` on the enum, with a variant `#[rpc(status)] Status(Status)` for \
            failures of the framework; or return `dubhe::Result<T>`"
)]
pub trait BusinessError: Sized + Send + Sync + 'static {
    /// Its type in a method's descriptor; `None` for `Status`, which every method may fail with.
    #[doc(hidden)]
    const DESCRIBED: Option<fn() -> MessageType> = Some(Self::message_type);

    /// The status that carries it.
    fn into_status(self) -> Status;

    /// Restores the value at the caller; every other status becomes the status variant.
    fn from_status(status: Status) -> Self;

    /// The error as data.
    fn message_type() -> MessageType;
}

impl BusinessError for Status {
    const DESCRIBED: Option<fn() -> MessageType> = None;

    fn into_status(self) -> Status {
        self
    }

    fn from_status(status: Status) -> Self {
        status
    }

    fn message_type() -> MessageType {
        MessageType {
            id: Some(TypeId::of::<Self>()),
            name: "Status".to_owned(),
            class: "",
            doc: "No typed error.",
            fields: Vec::new(),
            is_oneof: false,
            takes_unknown: false,
            reserved: Vec::new(),
            length: None,
        }
    }
}

/// The status that carries `error`, named `type_name`.
#[must_use]
pub fn typed_status(code: Code, message: String, type_name: &str, error: impl Message) -> Status {
    Status::new(code, message)
        .with_details(Details { type_name: Arc::from(type_name), body: Body::typed(error) })
}

/// The error named `type_name` that `status` carries, if it carries one that can be read.
#[must_use]
pub fn typed_error<E: Message + Default>(status: &Status, type_name: &str) -> Option<E> {
    let details = status.details()?;
    if &*details.type_name != type_name {
        return None;
    }
    details.body.decode().ok()
}
