//! What of a call is known before it is sent: its deadline, what it takes along of the call that is
//! being handled, and what its plan and its options say.

use tokio::time::Instant;

use super::said;
use super::stub::{Plan, Stub, StubMethod, named};
use crate::body::Body;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::server::context;
use crate::status::{Delivery, Status};
use crate::trace::{self, TraceForwarding};

impl Stub {
    /// # Errors
    /// Not sent: no time is left; a codec that does not exist.
    pub(super) fn invocation(
        &self,
        target: &StubMethod,
        plan: &Plan,
        body: Body,
        started: Instant,
    ) -> Result<Invocation, Status> {
        let options = self.options.as_deref();
        let timeout = options.and_then(|options| options.timeout).unwrap_or(plan.timeout);
        let (deadline, inherits) = context::inherit(started, timeout, plan.trace);
        if deadline.instant() <= started {
            let text = "no time was left when the call was made";
            let status = Status::deadline_exceeded(text).with_delivery(Delivery::NotSent);
            return Err(named(target, status));
        }
        let body = said::here(body)?;
        let mut invocation = Invocation::new(target.method().clone(), body, deadline);
        if plan.trace == TraceForwarding::Off {
            invocation.extensions.insert(trace::Untraced);
        }
        let Some(options) = options else {
            (invocation.metadata, invocation.codecs) = (inherits, Some(plan.codecs.clone()));
            return Ok(invocation);
        };
        invocation.metadata = trace::merge(&options.metadata, &inherits);
        if trace::says_ids(&options.metadata) {
            // What the program says itself is not to be replaced by the ids of our span.
            invocation.extensions.insert(trace::Untraced);
        }
        invocation.hash_key = options.hash_key;
        if let Some(log) = &options.attempts {
            invocation.extensions.insert(log.clone());
        }
        invocation.codecs = Some(match &options.codec {
            None => plan.codecs.clone(),
            Some(name) => plan.codecs.preferring(name).ok_or_else(|| {
                let error = Error::unknown_name("codec", name, plan.codecs.names());
                let status = Status::invalid_argument(error.to_string());
                named(target, status.with_delivery(Delivery::NotSent))
            })?,
        });
        Ok(invocation)
    }
}
