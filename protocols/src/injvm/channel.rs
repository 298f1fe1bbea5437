//! The way to one server of this process: it is there, or it was.

use std::future::ready;
use std::sync::{Arc, Weak};

use rpc_core::client::ClientConfig;
use rpc_core::protocol::Target;
use rpc_core::server::{Caller, ConnectionShare, Phase, ServerState, TurnedAway};
use rpc_core::transport::TransportAddr;
use rpc_core::{
    CallId, Changes, Channel, ChannelState, Delivery, Invocation, Invoke, Peer, ReplyFuture,
    SentAs, Status,
};
use tokio::sync::Semaphore;

use super::{Injvm, call};

/// A channel that is connected as long as its server is.
#[derive(Debug)]
pub(super) struct LocalChannel {
    address: Arc<str>,
    /// Weak, because handlers may hold clients of their own process.
    server: Weak<ServerState>,
    /// Its share of the server's limits, common to all of its calls; `None` if the server has
    /// ended.
    caller: Option<Arc<Caller>>,
    config: Arc<ClientConfig>,
    in_flight: Arc<Semaphore>,
    peer: Arc<Peer>,
}

impl LocalChannel {
    pub(super) fn new(target: Target) -> Self {
        let Target { address, config, local, .. } = target;
        let server = local.server(&address);
        let caller = server.as_deref().map(Caller::new);
        let in_flight = config.in_flight.min(Semaphore::MAX_PERMITS);
        let from = TransportAddr::Named("this process".into());
        Self {
            address,
            server: server.as_ref().map_or_else(Weak::new, Arc::downgrade),
            caller,
            config,
            in_flight: Arc::new(Semaphore::new(in_flight)),
            peer: Arc::new(Peer::new(
                from,
                <Injvm as rpc_core::Extension<dyn rpc_core::Protocol>>::NAME,
            )),
        }
    }

    fn share(&self) -> Option<Arc<ConnectionShare>> {
        Some(ConnectionShare::of(self.caller.clone()?, self.server.upgrade()?))
    }

    /// Starts a call at the server, if that is there and this side has room for one more.
    ///
    /// # Errors
    /// Not sent: the server has ended, or too many calls wait. Refused: the server turned it away.
    fn call(&self, invocation: Invocation) -> Result<ReplyFuture, Status> {
        let not_sent = |status: Status| status.with_delivery(Delivery::NotSent);
        let share = self.share().ok_or_else(|| {
            not_sent(Status::unavailable("the provider in this process has ended"))
        })?;
        let permit = self.in_flight.clone().try_acquire_owned().map_err(|_| {
            let (limit, address) = (self.config.in_flight, &self.address);
            not_sent(Status::resource_exhausted(format!(
                "{limit} calls wait for {address} already; raise `consumer.limits.in_flight`"
            )))
        })?;
        let (id, limit) = (call::next_id(), self.config.payload);
        SentAs::note(&invocation, CallId::Request(id));
        let (method, trace) = (invocation.method().clone(), CallId::of_trace(&invocation.metadata));
        let call = call::start(&share, id, invocation, self.peer.clone(), limit, permit);
        call.map_err(|status| {
            let (path, id) = (Some(&**method.path()), CallId::Request(id));
            let named = trace.or(Some(id));
            let turned_away = TurnedAway { path, peer: &self.peer, id: named, status: &status };
            share.state().dispatcher().note_turned_away(&turned_away);
            status.with_id(id)
        })
    }
}

impl Invoke for LocalChannel {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        self.call(invocation).unwrap_or_else(|status| Box::pin(ready(Err(status))))
    }
}

impl Channel for LocalChannel {
    fn address(&self) -> &Arc<str> {
        &self.address
    }

    fn state(&self) -> ChannelState {
        match self.server.upgrade().map(|server| server.phase()) {
            Some(Phase::Serving) => ChannelState::Ready,
            Some(_) => ChannelState::Draining,
            None => ChannelState::Down,
        }
    }

    /// A server that goes leaves the table of its process, so its list changes too.
    fn report_to(&self, _: &Changes) {}
}
