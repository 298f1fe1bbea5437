//! Calls inside a process, without a socket: `injvm`, as Dubbo names it.
//!
//! They are calls like all others: found in a list, chosen by a policy, with deadline, metadata,
//! layers and the limits of both ends. They skip encoding: arguments and results move where the
//! types match and there is no other handle, and are encoded otherwise.

mod call;
mod channel;
mod limited;
mod pump;

use std::io;
use std::sync::Arc;

use rpc_core::protocol::{Accepted, Protocol, ProtocolClient, ServeFuture, Sniff, Target};
use rpc_core::{BuildContext, Channel, Error, Extension, MethodKind, NoConfig, Status};

use self::channel::LocalChannel;

/// Calls to the servers of this process; both ends.
///
/// A consumer uses it for a service with `scope = "local"`. It carries every kind of method, streams
/// included.
#[derive(Debug)]
pub struct Injvm;

impl Extension<dyn Protocol> for Injvm {
    const NAME: &'static str = "injvm";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Protocol>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Protocol for Injvm {
    fn names(&self) -> &[&'static str] {
        &[Self::NAME]
    }

    fn sniff(&self, _: &[u8]) -> Sniff {
        Sniff::No
    }

    fn serve(&self, _: Accepted) -> ServeFuture {
        Box::pin(async { Err(io::Error::other("injvm is not a protocol of connections")) })
    }

    fn turn_away(&self, accepted: Accepted, _: Status) -> ServeFuture {
        self.serve(accepted)
    }

    fn is_wire(&self) -> bool {
        false
    }

    fn client(&self) -> Option<Arc<dyn ProtocolClient>> {
        Some(Arc::new(InjvmClient))
    }
}

/// The consumer's end: finds servers in the table of this process.
#[derive(Debug)]
struct InjvmClient;

impl ProtocolClient for InjvmClient {
    fn channel(&self, target: Target) -> Arc<dyn Channel> {
        Arc::new(LocalChannel::new(target))
    }

    fn carries(&self, _: MethodKind) -> bool {
        true
    }
}
