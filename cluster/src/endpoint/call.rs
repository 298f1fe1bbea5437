//! Starting a call at an endpoint: the codec that both speak, the probe if there is to be one, the
//! span of the attempt.

use std::sync::Arc;

use rpc_core::{Codecs, Delivery, Invocation, MethodKind, Status};
use tokio::time::Instant;

use super::attempt_span::{self, ObservedAttempt};
use super::future::{EndpointFuture, InFlight};
use super::load::FAILURE;
use super::state::EndedCall;
use super::{Endpoint, stream};

impl Endpoint {
    /// Starts a call; `now` is the present time, as the picker read it.
    ///
    /// # Cancel safety
    /// Dropping the future cancels the call.
    ///
    /// # Errors
    /// `failed_precondition`, not sent, if caller and instance have no codec in common.
    pub fn call(
        self: &Arc<Self>,
        invocation: Invocation,
        now: Instant,
        number: u32,
    ) -> Result<EndpointFuture, Status> {
        self.clone().called(invocation, now, number)
    }

    /// Starts a call on a handle that the caller gives away.
    #[inline]
    pub(crate) fn called(
        self: Arc<Self>,
        mut invocation: Invocation,
        now: Instant,
        number: u32,
    ) -> Result<EndpointFuture, Status> {
        self.agree_on_codec(&mut invocation)?;
        // The first call at an endpoint on probation is the probe.
        let probe = self.condition().is_on_probation()
            && invocation.method().kind() != MethodKind::OneWay
            && self.condition().begin_probe();
        Ok(self.start(invocation, now, number, probe))
    }

    /// Starts a call that probes the endpoint; `None` if another does so already, or if the
    /// endpoint cannot be called.
    pub(crate) fn probe(
        self: &Arc<Self>,
        invocation: Invocation,
        now: Instant,
    ) -> Option<EndpointFuture> {
        self.probe_if(invocation, now, || true)
    }

    /// Starts a call unless `may` refuses, which is asked last.
    pub(crate) fn probe_if(
        self: &Arc<Self>,
        mut invocation: Invocation,
        now: Instant,
        may: impl FnOnce() -> bool,
    ) -> Option<EndpointFuture> {
        self.agree_on_codec(&mut invocation).ok()?;
        if !self.condition().begin_probe() {
            return None;
        }
        if !may() {
            self.condition().undo_probe();
            return None;
        }
        Some(self.clone().start(invocation, now, 1, true))
    }

    fn start(
        self: Arc<Self>,
        mut invocation: Invocation,
        now: Instant,
        number: u32,
        probe: bool,
    ) -> EndpointFuture {
        self.vitals.states().all().for_each(|state| state.begin(&mut invocation, now));
        let method = invocation.method();
        let span = attempt_span::span(method, self.address(), number);
        let (deadline, end) = (invocation.deadline, invocation.end_deadline());
        let streams = method.kind().streams_reply();
        let observed = ObservedAttempt::of(&mut invocation, &span);
        let in_flight = InFlight::begin(self, now, &invocation, probe, observed);
        let call = {
            // Not in a closure, which the invocation would be moved into.
            let _entered = span.enter();
            in_flight.endpoint.invoker.invoke(invocation)
        };
        let call = if streams { stream::begun(call, now, deadline, end) } else { call };
        EndpointFuture::new(call, in_flight, span)
    }

    /// Leaves, or puts first, the codec the call prefers among those the instance speaks.
    fn agree_on_codec(&self, invocation: &mut Invocation) -> Result<(), Status> {
        let spoken = &self.instance.codecs;
        let speaks = |name: &str| spoken.is_empty() || spoken.iter().any(|codec| codec == name);
        // A body that came as bytes can only go out as these bytes.
        if let Some(own) = invocation.body.codec() {
            if !speaks(own.name()) {
                return Err(self.no_common_codec(&[own.name()]));
            }
            let others = invocation.codecs.iter().flat_map(Codecs::iter).cloned();
            invocation.codecs = Some(Codecs::new(own.clone(), others));
            return Ok(());
        }
        let Some(codecs) = &invocation.codecs else {
            return Ok(());
        };
        if speaks(codecs.first().name()) {
            return Ok(());
        }
        let Some(chosen) = codecs.iter().find(|codec| speaks(codec.name())) else {
            return Err(self.no_common_codec(&codecs.names().collect::<Vec<_>>()));
        };
        let agreed = self.agreed.get_or_init(|| Codecs::new(chosen.clone(), []));
        invocation.codecs = Some(match Arc::ptr_eq(agreed.first(), chosen) {
            true => agreed.clone(),
            false => Codecs::new(chosen.clone(), []),
        });
        Ok(())
    }

    fn no_common_codec(&self, offered: &[&str]) -> Status {
        // Without a load it would look idle and be tried first.
        let (latency, now) = (Some(FAILURE), Instant::now());
        self.vitals.end(&EndedCall { outcome: None, is_failure: true, latency, now });
        let (offered, spoken) = (offered.join(", "), self.instance.codecs.join(", "));
        Status::failed_precondition(format!(
            "no common codec: the caller offers {offered}, the provider speaks {spoken}; \
             enable one of them on the other side"
        ))
        .with_delivery(Delivery::NotSent)
        .with_address(self.address().clone())
    }
}
