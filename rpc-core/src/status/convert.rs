//! Turns the errors of tower layers into a [`Status`].
//!
//! The errors of tower's own layers have their codes and deliveries here. Nothing is known of any
//! other error, least of all that the handler did not run.

use std::error::Error as StdError;

use tower::buffer::error::Closed;
use tower::load_shed::error::Overloaded;
use tower::timeout::error::Elapsed;

use super::{Code, Delivery, Status};

/// Any error between tower layers.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The conversion at the edge of every layer around a call, and of `?` in a handler.
///
/// | error | status |
/// | --- | --- |
/// | a [`Status`], or one anywhere in the chain of sources | that status |
/// | tower's `timeout::error::Elapsed` | `deadline_exceeded`, maybe sent |
/// | tower's `load_shed::error::Overloaded` | `resource_exhausted`, refused |
/// | tower's `buffer::error::Closed` | `unavailable`, maybe sent |
/// | any other | `unknown` with its message, maybe sent; `internal` around a handler |
///
/// Where a handler returns it, it is an answer whatever it was converted from: the handler ran.
impl From<BoxError> for Status {
    fn from(error: BoxError) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(status) => return *status,
            Err(other) => other,
        };
        let mut cause: Option<&(dyn StdError + 'static)> = Some(&*error);
        let mut status = None;
        while let (None, Some(error)) = (&status, cause) {
            status = known(error);
            cause = error.source();
        }
        match status {
            // Its own source tells more than a layer that wrapped it.
            Some(status) if status.0.source.is_some() => status,
            Some(status) => status.caused_by(error),
            None => {
                let unknown = Self::unknown(error.to_string());
                unknown.with_delivery(Delivery::MaybeSent).caused_by(error)
            }
        }
    }
}

/// The status of an error whose type is known.
fn known(error: &(dyn StdError + 'static)) -> Option<Status> {
    if let Some(status) = error.downcast_ref::<Status>() {
        return Some(status.clone());
    }
    let (code, text, delivery) = if error.is::<Elapsed>() {
        let text = "no answer came within the timeout of a layer";
        (Code::DeadlineExceeded, text, Delivery::MaybeSent)
    } else if error.is::<Overloaded>() {
        (Code::ResourceExhausted, "a layer that is full shed the call", Delivery::Refused)
    } else if error.is::<Closed>() {
        // It ends when its runtime does, or by a panic of what is inside, which may have sent it.
        let text = "the worker of a buffer layer has ended; it lives as long as its runtime";
        (Code::Unavailable, text, Delivery::MaybeSent)
    } else {
        return None;
    };
    Some(Status::new(code, text).with_delivery(delivery))
}

impl Status {
    fn caused_by(mut self, error: BoxError) -> Self {
        self.0.source = Some(error.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(error: impl Into<BoxError>) -> (Code, Delivery) {
        let status = Status::from(error.into());
        (status.code(), status.delivery())
    }

    #[test]
    fn errors_of_towers_layers_have_the_code_and_the_delivery_of_their_cause() {
        assert_eq!(told(Elapsed::new()), (Code::DeadlineExceeded, Delivery::MaybeSent));
        assert_eq!(told(Overloaded::new()), (Code::ResourceExhausted, Delivery::Refused));
    }

    #[test]
    fn an_error_of_which_nothing_is_known_may_have_been_sent_and_is_kept() {
        let status = Status::from(BoxError::from("the cache is on fire"));
        assert_eq!((status.code(), status.delivery()), (Code::Unknown, Delivery::MaybeSent));
        assert_eq!(status.message(), "the cache is on fire");
        assert_eq!(status.source().unwrap().to_string(), "the cache is on fire");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("wrapped")]
    struct Wrapped(#[source] BoxError);

    #[test]
    fn a_known_error_is_found_anywhere_in_the_chain() {
        let refused = Status::unavailable("going down").with_delivery(Delivery::Refused);
        assert_eq!(told(refused.clone()), (Code::Unavailable, Delivery::Refused));
        let wrapped = Wrapped(Box::new(Wrapped(refused.into())));
        assert_eq!(told(wrapped), (Code::Unavailable, Delivery::Refused));
        let late = Wrapped(Elapsed::new().into());
        assert_eq!(told(late), (Code::DeadlineExceeded, Delivery::MaybeSent));
    }
}
