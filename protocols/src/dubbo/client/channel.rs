//! The channel to one address: starts calls on its connection, which reopens by itself.

use std::fmt;
use std::sync::Arc;

use rpc_core::protocol::Target;
use rpc_core::{Changes, Channel, ChannelState, Invocation, Invoke, ReplyFuture};

use super::call::Call;
use super::reconnect::Reconnect;

/// A channel over the dubbo protocol.
pub(super) struct DubboChannel {
    core: Arc<Reconnect>,
}

impl DubboChannel {
    pub(super) fn new(target: Target) -> Self {
        Self { core: Reconnect::new(target) }
    }
}

impl Channel for DubboChannel {
    fn address(&self) -> &Arc<str> {
        self.core.address()
    }

    fn state(&self) -> ChannelState {
        self.core.state()
    }

    fn report_to(&self, changes: &Changes) {
        self.core.listeners().add(changes);
    }

    fn connect(&self) -> bool {
        self.core.connect()
    }

    fn hurry(&self) {
        self.core.hurry();
    }
}

impl Invoke for DubboChannel {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        if let Some(shared) = self.core.open() {
            // The box is there first, so that the call is made in it and not moved there.
            let place = Box::new_uninit();
            let call = Box::write(place, Call::new(shared, invocation));
            return Box::into_pin(call);
        }
        let core = self.core.clone();
        Box::pin(async move {
            let shared = core.connected(&invocation).await?;
            Call::new(shared, invocation).await
        })
    }
}

impl Drop for DubboChannel {
    fn drop(&mut self) {
        self.core.close();
    }
}

impl fmt::Debug for DubboChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, state) = (self.address(), self.state());
        f.debug_struct("DubboChannel").field("address", address).field("state", &state).finish()
    }
}
