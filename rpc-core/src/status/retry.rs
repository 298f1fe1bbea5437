//! The one decision whether a failed call may be sent again.
//!
//! Policies ask here and never match on codes themselves. Limits, budget and deadline come on top;
//! they are the policy's.

use super::{Code, Delivery, Status};
use crate::deadline::Deadline;
use crate::invocation::Invocation;

/// What a policy may do with a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resend {
    /// Send again: the handler cannot have run, so this costs no retry budget.
    Free,
    /// Send again at no cost, but only to a provider that is not known to be full: this one was,
    /// and where all are, another attempt would add to the overload.
    Elsewhere,
    /// Send again, drawing on the retry budget: the handler may have run.
    Budgeted,
    /// Do not send again.
    No,
}

/// The properties of a call that allow or forbid a second run. Made from the call itself, or from
/// `true` for an idempotent call whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    idempotent: bool,
    /// Whether its arguments are still there.
    replayable: bool,
    /// When its caller stops waiting; `None` if it has stopped.
    deadline: Option<Deadline>,
}

impl From<bool> for Repeat {
    fn from(idempotent: bool) -> Self {
        Self { idempotent, replayable: true, deadline: None }
    }
}

impl From<&Invocation> for Repeat {
    fn from(call: &Invocation) -> Self {
        Self {
            idempotent: call.method().is_idempotent(),
            replayable: call.is_replayable(),
            deadline: Some(call.deadline),
        }
    }
}

impl Repeat {
    /// Treats the call as one of an idempotent method.
    #[must_use]
    pub const fn if_idempotent(self) -> Self {
        Self { idempotent: true, ..self }
    }

    /// Whether the caller still waits. Then only an attempt timed out: a layer gave it less time.
    fn is_in_time(self) -> bool {
        self.deadline.is_some_and(|deadline| !deadline.is_past())
    }
}

/// Whether a call that failed with `status` may be sent again.
///
/// - *Not sent* or *refused*: always, unless the code blames the call itself; after a refusal because
///   the provider is full, only where there may be room.
/// - *Maybe sent*, or a handler's own `unavailable`: only if the method is idempotent. The same holds
///   for an attempt that a layer timed out before the deadline of the call.
/// - Never: a passed deadline, a typed business error, every other answer, a failure that the handler
///   passed on from a call of its own, and a call whose own stream was read.
#[must_use]
pub fn may_resend(status: &Status, call: impl Into<Repeat>) -> Resend {
    let call = call.into();
    let Repeat { idempotent, replayable, .. } = call;
    if status.details().is_some() || !replayable {
        return Resend::No;
    }
    match (status.delivery(), status.code()) {
        // An over-long or unserialisable request fails the same way everywhere.
        (Delivery::NotSent | Delivery::Refused, code) if is_callers_fault(code) => Resend::No,
        _ if status.is_full() => Resend::Elsewhere,
        (Delivery::NotSent | Delivery::Refused, _) => Resend::Free,
        (Delivery::MaybeSent, Code::Cancelled) => Resend::No,
        (Delivery::MaybeSent, Code::DeadlineExceeded) if !call.is_in_time() => Resend::No,
        (Delivery::Answered, _) if status.origin().is_some() => Resend::No,
        (Delivery::MaybeSent, _) | (Delivery::Answered, Code::Unavailable) if idempotent => {
            Resend::Budgeted
        }
        (Delivery::MaybeSent | Delivery::Answered, _) => Resend::No,
    }
}

/// Whether a call that failed with `status` may be sent again later, with a deadline of its own,
/// after its caller has gone on.
///
/// As [`may_resend`], with three differences: a passed deadline was the caller's and only says that
/// the handler may have run; a provider that was full need not be full later; a dependency of the
/// handler may be back.
#[must_use]
pub fn may_resend_later(status: &Status, idempotent: bool) -> Resend {
    match (status.delivery(), status.code()) {
        _ if status.details().is_some() => Resend::No,
        (Delivery::NotSent | Delivery::Refused, Code::DeadlineExceeded) => Resend::Free,
        (_, Code::DeadlineExceeded) | (Delivery::Answered, Code::Unavailable) if idempotent => {
            Resend::Budgeted
        }
        _ if status.is_full() => Resend::Free,
        _ => may_resend(status, idempotent),
    }
}

/// Codes that say the call itself is wrong, wherever it is sent.
const fn is_callers_fault(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::OutOfRange
            | Code::Internal
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Details;
    use super::*;
    use crate::message::Returned;
    use crate::{Body, Method, MethodKind, Reply, ServiceKey};

    fn call(kind: MethodKind, idempotent: bool, body: Body, timeout: Duration) -> Invocation {
        let method = Method::new(ServiceKey::new("S"), "m", kind, idempotent);
        Invocation::new(method.into(), body, Deadline::after(timeout))
    }

    #[test]
    fn an_attempt_that_a_layer_cut_is_sent_again_only_while_the_call_has_time_and_if_idempotent() {
        let late = Status::deadline_exceeded("x").with_delivery(Delivery::MaybeSent);
        let decide = |idempotent, timeout| {
            let body = Reply::new(Returned(())).body;
            may_resend(&late, &call(MethodKind::Unary, idempotent, body, timeout))
        };
        assert_eq!(decide(true, Deadline::MAX_TIMEOUT), Resend::Budgeted);
        assert_eq!(decide(true, Duration::ZERO), Resend::No);
        assert_eq!(decide(false, Deadline::MAX_TIMEOUT), Resend::No);
    }

    #[test]
    fn a_call_is_sent_again_only_until_its_own_stream_is_read() {
        let body = Body::stream(futures_util::stream::iter([]));
        let call = call(MethodKind::ClientStream, true, body, Deadline::MAX_TIMEOUT);
        let failed = Status::unavailable("x").with_delivery(Delivery::NotSent);
        drop(call.clone().body.messages().unwrap());
        assert_eq!(may_resend(&failed, &call), Resend::Free, "nobody has read of it");
        let mut reader = call.clone().body.messages().unwrap();
        assert!(call.body.messages().is_err(), "it has one reader");
        let _ = reader.poll_next(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        drop(reader);
        assert_eq!(may_resend(&failed, &call), Resend::No);
        assert!(call.body.messages().is_err());
    }

    fn decide(delivery: Delivery, code: Code, idempotent: bool) -> Resend {
        may_resend(&Status::new(code, "x").with_delivery(delivery), idempotent)
    }

    /// Whoever answers with such a thing would get it from any other provider, too.
    const FAULTS: [Code; 7] = [
        Code::InvalidArgument,
        Code::DeadlineExceeded,
        Code::Cancelled,
        Code::PermissionDenied,
        Code::Unauthenticated,
        Code::OutOfRange,
        Code::Internal,
    ];

    #[test]
    fn every_pair_of_delivery_and_code_is_decided_as_it_is_told() {
        for code in Code::ALL {
            for (idempotent, if_idempotent) in [(true, Resend::Budgeted), (false, Resend::No)] {
                let unsent = if FAULTS.contains(&code) { Resend::No } else { Resend::Free };
                let is_full = code == Code::ResourceExhausted;
                let is_final = matches!(code, Code::Cancelled | Code::DeadlineExceeded);
                let is_unavailable = code == Code::Unavailable;
                for (delivery, expected) in [
                    (Delivery::NotSent, unsent),
                    (Delivery::Refused, if is_full { Resend::Elsewhere } else { unsent }),
                    (Delivery::MaybeSent, if is_final { Resend::No } else { if_idempotent }),
                    (Delivery::Answered, if is_unavailable { if_idempotent } else { Resend::No }),
                ] {
                    let decided = decide(delivery, code, idempotent);
                    assert_eq!(decided, expected, "{delivery:?} {code} {idempotent}");
                }
            }
        }
    }

    #[test]
    fn a_typed_error_is_final_however_it_came() {
        let details =
            Details { type_name: "shop.SoldOut".into(), body: Reply::new(Returned(())).body };
        for delivery in
            [Delivery::NotSent, Delivery::Refused, Delivery::MaybeSent, Delivery::Answered]
        {
            let status = Status::unavailable("sold out").with_details(details.clone());
            let status = status.with_delivery(delivery);
            assert_eq!(may_resend(&status, true), Resend::No, "{delivery:?}");
            assert_eq!(may_resend_later(&status, true), Resend::No, "{delivery:?}");
        }
    }

    #[test]
    fn what_would_be_if_the_method_were_idempotent_is_told_of_one_that_is_not() {
        let body = Reply::new(Returned(())).body;
        let call = call(MethodKind::Unary, false, body, Deadline::MAX_TIMEOUT);
        let cut = Status::deadline_exceeded("x").with_delivery(Delivery::MaybeSent);
        assert_eq!(may_resend(&cut, &call), Resend::No);
        let would = Repeat::from(&call).if_idempotent();
        assert_eq!(may_resend(&cut, would), Resend::Budgeted, "it still has its time");
    }

    #[test]
    fn a_call_that_never_ran_may_always_be_sent_again() {
        for idempotent in [true, false] {
            for delivery in [Delivery::NotSent, Delivery::Refused] {
                assert_eq!(decide(delivery, Code::Unavailable, idempotent), Resend::Free);
                assert_eq!(decide(delivery, Code::Unimplemented, idempotent), Resend::Free);
            }
        }
    }

    #[test]
    fn a_call_that_found_a_provider_full_is_sent_only_where_there_may_be_room() {
        for idempotent in [true, false] {
            let decide = |delivery| decide(delivery, Code::ResourceExhausted, idempotent);
            assert_eq!(decide(Delivery::Refused), Resend::Elsewhere);
            // A limit of the caller's own, and what a handler says of something it ran out of.
            assert_eq!(decide(Delivery::NotSent), Resend::Free);
            assert_eq!(decide(Delivery::Answered), Resend::No);
            let full = Status::resource_exhausted("x").with_delivery(Delivery::Refused);
            assert_eq!(may_resend_later(&full, idempotent), Resend::Free);
        }
    }

    #[test]
    fn a_call_that_may_have_run_is_sent_again_only_if_idempotent() {
        assert_eq!(decide(Delivery::MaybeSent, Code::Unavailable, true), Resend::Budgeted);
        assert_eq!(decide(Delivery::MaybeSent, Code::Unavailable, false), Resend::No);
        assert_eq!(decide(Delivery::Answered, Code::Unavailable, true), Resend::Budgeted);
        assert_eq!(decide(Delivery::Answered, Code::Unavailable, false), Resend::No);
    }

    #[test]
    fn what_a_handler_passed_on_is_no_reason_to_ask_another_provider_at_once() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::ResourceExhausted] {
            let nested = Status::new(code, "x").with_origin("shop.Inventory/reserve".into());
            assert_eq!(may_resend(&nested, true), Resend::No);
        }
        let nested = Status::unavailable("x").with_origin("shop.Inventory/reserve".into());
        assert_eq!(may_resend_later(&nested, true), Resend::Budgeted);
        assert_eq!(may_resend_later(&nested, false), Resend::No);
    }

    #[test]
    fn an_answer_and_a_passed_deadline_are_final() {
        assert_eq!(decide(Delivery::Answered, Code::NotFound, true), Resend::No);
        assert_eq!(decide(Delivery::MaybeSent, Code::DeadlineExceeded, true), Resend::No);
        assert_eq!(decide(Delivery::NotSent, Code::InvalidArgument, true), Resend::No);
    }

    #[test]
    fn a_passed_deadline_does_not_forbid_a_later_attempt_with_its_own() {
        let decide = |delivery, code, idempotent| {
            may_resend_later(&Status::new(code, "x").with_delivery(delivery), idempotent)
        };
        assert_eq!(decide(Delivery::NotSent, Code::DeadlineExceeded, false), Resend::Free);
        assert_eq!(decide(Delivery::MaybeSent, Code::DeadlineExceeded, true), Resend::Budgeted);
        assert_eq!(decide(Delivery::Answered, Code::DeadlineExceeded, true), Resend::Budgeted);
        for delivery in [Delivery::MaybeSent, Delivery::Answered] {
            assert_eq!(decide(delivery, Code::DeadlineExceeded, false), Resend::No);
            assert_eq!(decide(delivery, Code::Unavailable, false), Resend::No);
        }
        assert_eq!(decide(Delivery::Answered, Code::NotFound, true), Resend::No);
    }
}
