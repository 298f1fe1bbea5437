//! The attempts of one call, and the status that lists them.

use std::sync::Arc;
use std::time::Duration;

use rpc_core::status::AttemptFailure;
use rpc_core::{Code, Delivery, Method, Status};

/// The failed attempts of a call so far, for policies that make several.
///
/// ```
/// use std::time::Duration;
///
/// use dubhe_cluster::policy::History;
/// use rpc_core::{Delivery, Method, MethodKind, ServiceKey, Status};
///
/// let reserve = Method::new(ServiceKey::new("shop.Stock"), "reserve", MethodKind::Unary, true);
/// let lost = Status::unavailable("connection lost").with_delivery(Delivery::MaybeSent);
/// let refused = Status::unavailable("it drains").with_delivery(Delivery::Refused);
///
/// let mut history = History::new();
/// history.add(&lost.with_address("a:1".into()), Duration::from_millis(3));
/// history.add(&refused.clone().with_address("b:1".into()), Duration::from_millis(1));
/// let last = history.into_status(refused, &reserve, Some("retries = 1".to_owned()));
/// // The first attempt may have run, so the call may have.
/// assert_eq!(last.delivery(), Delivery::MaybeSent);
/// assert_eq!(last.attempts().len(), 2);
/// ```
#[derive(Debug, Default)]
pub struct History(Vec<AttemptFailure>);

impl History {
    /// An empty history.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a failed attempt. A status without an address reached no endpoint and is not added.
    pub fn add(&mut self, status: &Status, elapsed: Duration) {
        if let Some(address) = status.address() {
            self.0.push(AttemptFailure {
                address: address.into(),
                code: status.code(),
                message: status.message().to_owned(),
                delivery: status.delivery(),
                elapsed,
            });
        }
    }

    /// How many attempts there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there was none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The addresses that were tried.
    #[must_use]
    pub fn addresses(&self) -> Vec<Arc<str>> {
        self.0.iter().map(|failed| failed.address.clone()).collect()
    }

    /// The addresses that lack the service or the method, so that asking them again is useless.
    #[must_use]
    pub fn lacking(&self) -> Vec<Arc<str>> {
        let lacks = |failed: &&AttemptFailure| {
            failed.code == Code::Unimplemented && failed.delivery == Delivery::Refused
        };
        self.0.iter().filter(lacks).map(|failed| failed.address.clone()).collect()
    }

    /// The status the call ends with: the last one, naming the call, every attempt, and what
    /// decided that it ends here.
    ///
    /// If any attempt may have run, so may the call, whatever became of the last attempt.
    #[must_use]
    pub fn into_status(self, last: Status, method: &Method, hint: Option<String>) -> Status {
        let has_run = |failed: &AttemptFailure| {
            matches!(failed.delivery, Delivery::MaybeSent | Delivery::Answered)
        };
        let is_plain_answer = last.delivery() == Delivery::Answered && self.len() <= 1;
        let mut status = last.with_call(method.path().clone());
        if matches!(status.delivery(), Delivery::NotSent | Delivery::Refused)
            && self.0.iter().any(has_run)
        {
            status = status.with_delivery(Delivery::MaybeSent);
        }
        if let Some(hint) = hint {
            status = status.with_hint(hint);
        }
        if is_plain_answer {
            return status;
        }
        status.with_attempts(self.0)
    }
}

#[cfg(test)]
mod tests {
    use rpc_core::{MethodKind, ServiceKey};

    use super::*;

    const TOOK: Duration = Duration::from_millis(3);

    fn failure(address: &str, code: Code, delivery: Delivery) -> Status {
        Status::new(code, "x").with_delivery(delivery).with_address(address.into())
    }

    fn method() -> Method {
        Method::new(ServiceKey::new("shop.Inventory"), "reserve", MethodKind::Unary, true)
    }

    /// What a call ends with after attempts of these deliveries.
    fn ended(deliveries: &[Delivery]) -> Status {
        let mut history = History::new();
        let failures = deliveries.iter().map(|of| failure("a:1", Code::Unavailable, *of));
        let failures: Vec<Status> = failures.inspect(|status| history.add(status, TOOK)).collect();
        history.into_status(failures.last().unwrap().clone(), &method(), None)
    }

    #[test]
    fn attempts_are_those_that_reached_an_endpoint() {
        let mut history = History::new();
        history.add(&Status::unavailable("no instance"), TOOK);
        assert!(history.is_empty() && history.addresses().is_empty());
        assert_eq!(history.len(), 0);
        for address in ["a:1", "b:1"] {
            history.add(&failure(address, Code::Unavailable, Delivery::NotSent), TOOK);
        }
        assert!(!history.is_empty());
        assert_eq!((history.len(), history.addresses()), (2, vec!["a:1".into(), "b:1".into()]));
    }

    #[test]
    fn who_lacks_what_is_called_said_so_before_any_handler_ran() {
        let mut history = History::new();
        for (address, code, delivery) in [
            ("a:1", Code::Unimplemented, Delivery::Refused),
            ("b:1", Code::Unimplemented, Delivery::Answered),
            ("c:1", Code::Unavailable, Delivery::Refused),
            ("d:1", Code::Unavailable, Delivery::NotSent),
        ] {
            history.add(&failure(address, code, delivery), TOOK);
        }
        assert_eq!(history.lacking(), ["a:1".into()]);
    }

    #[test]
    fn a_call_may_have_run_if_one_of_its_attempts_may() {
        use Delivery::{Answered, MaybeSent, NotSent, Refused};
        for (deliveries, expected) in [
            (&[NotSent, NotSent][..], NotSent),
            (&[NotSent, Refused], Refused),
            (&[MaybeSent, NotSent], MaybeSent),
            (&[Answered, Refused], MaybeSent),
            (&[MaybeSent, Answered], Answered),
            (&[NotSent, MaybeSent], MaybeSent),
        ] {
            assert_eq!(ended(deliveries).delivery(), expected, "{deliveries:?}");
        }
    }

    #[test]
    fn attempts_are_told_unless_the_first_was_answered() {
        use Delivery::{Answered, NotSent};
        for (deliveries, told) in [(&[Answered][..], 0), (&[NotSent], 1), (&[NotSent, Answered], 2)]
        {
            assert_eq!(ended(deliveries).attempts().len(), told, "{deliveries:?}");
        }
        let told = ended(&[NotSent]);
        assert_eq!(
            (told.attempts()[0].elapsed, told.call()),
            (TOOK, Some("shop.Inventory/reserve"))
        );
    }
}
