//! What of a call is known before it is sent: its deadline, what it takes along of the call that is
//! being handled, and what its plan and its options say.

use tokio::time::Instant;

use super::stub::{Plan, Stub, StubMethod, named};
use crate::deadline::Deadline;
use crate::error::Error;
use crate::invocation::Invocation;
use crate::metadata::Metadata;
use crate::server::context;
use crate::status::{Delivery, Status};
use crate::trace::{self, TraceForwarding};

impl Stub {
    /// The deadline of a call, and what it takes along of the call that is being handled here.
    ///
    /// # Errors
    /// Not sent: no time is left.
    #[inline]
    pub(super) fn inherit(
        &self,
        target: &StubMethod,
        plan: &Plan,
        started: Instant,
    ) -> Result<(Deadline, Metadata), Status> {
        let options = self.options.as_deref();
        let timeout = options.and_then(|options| options.timeout).unwrap_or(plan.timeout);
        let (deadline, inherits) = context::inherit(started, timeout, plan.trace);
        if deadline.instant() <= started {
            let text = "no time was left when the call was made";
            let status = Status::deadline_exceeded(text).with_delivery(Delivery::NotSent);
            return Err(named(target, status));
        }
        Ok((deadline, inherits))
    }

    /// Puts into a new call what the plan and the options say, and what it `inherits`.
    ///
    /// # Errors
    /// Not sent: a codec that does not exist.
    #[inline]
    pub(super) fn set_options(
        &self,
        invocation: &mut Invocation,
        target: &StubMethod,
        plan: &Plan,
        inherits: Metadata,
    ) -> Result<(), Status> {
        if plan.trace == TraceForwarding::Off {
            invocation.extensions.insert(trace::Untraced);
        }
        let Some(options) = self.options.as_deref() else {
            (invocation.metadata, invocation.codecs) = (inherits, Some(plan.codecs.clone()));
            return Ok(());
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
        Ok(())
    }
}
