//! The consumer's end: channels that reconnect by themselves, and the calls on their connections.

mod call;
mod channel;
mod driver;
mod heartbeat;
mod pending;
mod reconnect;
mod shared;

use std::sync::Arc;

use rpc_core::protocol::{ProtocolClient, Target};
use rpc_core::{Channel, MethodKind};

use self::channel::DubboChannel;

/// Opens dubbo channels.
#[derive(Debug)]
pub(super) struct DubboClient;

impl ProtocolClient for DubboClient {
    fn channel(&self, target: Target) -> Arc<dyn Channel> {
        Arc::new(DubboChannel::new(target))
    }

    fn carries(&self, kind: MethodKind) -> bool {
        matches!(kind, MethodKind::Unary | MethodKind::OneWay)
    }
}
