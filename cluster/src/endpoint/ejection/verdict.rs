//! The verdict of a call's outcome on the endpoint that it went to.

use rpc_core::{Code, Delivery, MethodKind, Reply, Status};

/// The verdict of one call on its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The endpoint works: it answered, be it with an error of its own.
    Success,
    /// It speaks against the endpoint.
    Failure,
    /// A call that the endpoint made itself has failed: it speaks against the endpoint unless it is
    /// so with many.
    Nested,
    /// The service is not there.
    Missing,
    /// Nothing either way.
    Nothing,
}

impl Verdict {
    /// Timeouts, lost connections and `unavailable` speak against an endpoint.
    ///
    /// - What was not sent says nothing: an address that refuses connections is down, which its
    ///   channel knows.
    /// - `unavailable` counts from the framework and from a handler alike, as in Linkerd: the
    ///   answer says that another try elsewhere may work. So does a deadline that passed at the
    ///   provider: to its callers the two are one.
    /// - A handler that passes on the failure of a call of its own says that what it depends on
    ///   fails, for it at least.
    /// - A refusal for a limit (`resource_exhausted`) says that it is busy; taking a busy endpoint
    ///   out would pass its load on to the next. Balancers avoid it meanwhile.
    /// - A business error, typed or not, is an answer.
    /// - Nothing comes back from a one-way call.
    pub(crate) fn of(outcome: &Result<Reply, Status>, kind: MethodKind) -> Self {
        let status = match outcome {
            Ok(_) if kind == MethodKind::OneWay => return Self::Nothing,
            Ok(_) => return Self::Success,
            Err(status) => status,
        };
        if status.is_service_missing() {
            return Self::Missing;
        }
        match (status.delivery(), status.code()) {
            (Delivery::NotSent, _) | (Delivery::MaybeSent, Code::Cancelled) => Self::Nothing,
            (Delivery::MaybeSent, _) | (Delivery::Refused, Code::Unavailable) => Self::Failure,
            (Delivery::Refused, Code::ResourceExhausted) => Self::Nothing,
            (Delivery::Answered, Code::Unavailable | Code::DeadlineExceeded)
                if status.details().is_none() =>
            {
                if status.origin().is_some() {
                    Self::Nested
                } else {
                    Self::Failure
                }
            }
            (Delivery::Refused | Delivery::Answered, _) => Self::Success,
        }
    }
}

#[cfg(test)]
mod tests {
    use rpc_core::Body;
    use rpc_core::message::Returned;
    use rpc_core::status::Details;

    use super::*;

    fn verdict(delivery: Delivery, code: Code) -> Verdict {
        let status = Status::new(code, "x").with_delivery(delivery);
        Verdict::of(&Err(status), MethodKind::Unary)
    }

    #[test]
    fn timeouts_lost_connections_and_unavailable_speak_against_an_endpoint() {
        for (delivery, code) in [
            (Delivery::MaybeSent, Code::DeadlineExceeded),
            (Delivery::MaybeSent, Code::Unavailable),
            (Delivery::Refused, Code::Unavailable),
            (Delivery::Answered, Code::Unavailable),
            (Delivery::Answered, Code::DeadlineExceeded),
        ] {
            assert_eq!(verdict(delivery, code), Verdict::Failure, "{delivery:?} {code}");
        }
    }

    #[test]
    fn what_a_handler_passed_on_is_told_from_its_own_failure() {
        let verdict = |status: Status| {
            Verdict::of(
                &Err(status.with_origin("shop.Inventory/reserve".into())),
                MethodKind::Unary,
            )
        };
        for code in [Code::Unavailable, Code::DeadlineExceeded] {
            assert_eq!(verdict(Status::new(code, "x")), Verdict::Nested, "{code}");
        }
        assert_eq!(verdict(Status::not_found("x")), Verdict::Success);
    }

    #[test]
    fn a_reply_speaks_for_it_but_that_nothing_came_back_does_not() {
        let reply = || Ok(Reply::new(Returned(())));
        for kind in [MethodKind::Unary, MethodKind::ServerStream] {
            assert_eq!(Verdict::of(&reply(), kind), Verdict::Success);
        }
        assert_eq!(Verdict::of(&reply(), MethodKind::OneWay), Verdict::Nothing);
    }

    #[test]
    fn a_typed_error_speaks_for_it_whatever_its_code() {
        let details = Details { type_name: "shop.SoldOut".into(), body: Body::typed(Returned(())) };
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::NotFound] {
            let status = Status::new(code, "sold out").with_details(details.clone());
            assert_eq!(Verdict::of(&Err(status), MethodKind::Unary), Verdict::Success, "{code}");
        }
    }

    #[test]
    fn answers_of_the_business_speak_for_it() {
        for code in [Code::NotFound, Code::Internal, Code::InvalidArgument, Code::Aborted] {
            assert_eq!(verdict(Delivery::Answered, code), Verdict::Success, "{code}");
        }
    }

    #[test]
    fn what_was_not_sent_and_what_was_too_much_say_nothing() {
        assert_eq!(verdict(Delivery::NotSent, Code::Unavailable), Verdict::Nothing);
        assert_eq!(verdict(Delivery::Refused, Code::ResourceExhausted), Verdict::Nothing);
        assert_eq!(verdict(Delivery::MaybeSent, Code::Cancelled), Verdict::Nothing);
    }

    #[test]
    fn a_missing_service_is_told_from_a_missing_method() {
        assert_eq!(verdict(Delivery::Refused, Code::Unimplemented), Verdict::Success);
        let gone = Status::service_missing("no such service here");
        assert_eq!(Verdict::of(&Err(gone), MethodKind::Unary), Verdict::Missing);
    }
}
