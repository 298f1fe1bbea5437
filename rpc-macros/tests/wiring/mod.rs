//! A stub whose calls go straight to a handler, inside one process.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test takes what it needs")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rpc_core::client::{Plan, ServiceClient, Stub, StubMethod};
use rpc_core::codec::CodecError;
use rpc_core::message::Message;
use rpc_core::server::Handler;
use rpc_core::{
    AccessLog, BoxInvoker, Codec, Codecs, Invocation, Invoke, Method, Metrics, NodeReplies,
    NodeResult, ReplyFuture, Result, ServiceKey, TraceForwarding,
};

/// What nobody may ask while bodies stay typed.
#[derive(Debug)]
pub struct NoCodec;

impl Codec for NoCodec {
    fn name(&self) -> &'static str {
        "none"
    }

    fn content_subtype(&self) -> &'static str {
        "none"
    }

    fn dubbo_id(&self) -> u8 {
        31
    }

    fn encode(&self, _: &dyn Message, _: &mut bytes::BytesMut) -> Result<(), CodecError> {
        Err(CodecError::new("none", "bodies stay typed inside a process"))
    }

    fn decode(
        &self,
        bytes: bytes::Bytes,
        _: &mut dyn Message,
        _: &mut rpc_core::codec::Limits,
    ) -> Result<(), CodecError> {
        Err(CodecError::new("none", format_args!("{} bytes", bytes.len())))
    }
}

#[derive(Clone)]
struct Local {
    handler: Arc<dyn Handler>,
    index: usize,
    seen: Arc<Mutex<Vec<Invocation>>>,
}

/// The handler as if it were two providers.
struct Twice(Local);

impl Invoke for Twice {
    fn invoke(&self, mut invocation: Invocation) -> ReplyFuture {
        let (nodes, local) =
            (invocation.extensions.remove::<NodeReplies>().unwrap(), self.0.clone());
        Box::pin(async move {
            let mut replies = Vec::new();
            for address in ["a:1", "b:1"] {
                let result = local.invoke(invocation.clone()).await;
                replies.push(NodeResult { address: address.into(), result });
            }
            let first = replies[0].result.clone();
            nodes.put(replies);
            first
        })
    }
}

impl Invoke for Local {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        self.seen.lock().unwrap().push(invocation.clone());
        self.handler.call(self.index, invocation)
    }
}

/// A client of `handler`, and the calls it has made.
pub fn connect_recorded<C: ServiceClient>(
    handler: impl Handler,
) -> (C, Arc<Mutex<Vec<Invocation>>>) {
    let descriptor = C::DESCRIPTOR;
    let handler: Arc<dyn Handler> = Arc::new(handler);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let local = |index| Local { handler: handler.clone(), index, seen: seen.clone() };
    let plan = |index| Plan {
        invoker: BoxInvoker::from_invoke(local(index)),
        broadcast: BoxInvoker::from_invoke(Twice(local(index))),
        timeout: Duration::from_secs(1),
        timeout_set_by: "this test".into(),
        codecs: Codecs::new(Arc::new(NoCodec), []),
        trace: TraceForwarding::All,
        access_log: AccessLog::Failures,
    };
    let methods = (0..descriptor.methods.len()).map(|index| {
        let metrics = Metrics::new("consumer").method(&method::<C>(index));
        StubMethod::new(method::<C>(index), metrics, plan(index))
    });
    let stub = Stub::new(methods.collect(), Arc::new(()));
    (C::from_stub(stub), seen)
}

/// A client of `handler`.
pub fn connect<C: ServiceClient>(handler: impl Handler) -> C {
    connect_recorded(handler).0
}

/// The method at `index`, as calls name it.
pub fn method<C: ServiceClient>(index: usize) -> Arc<Method> {
    let (service, method) = (C::DESCRIPTOR, C::DESCRIPTOR.methods[index]);
    let key = ServiceKey::with_parts(service.interface, service.group, service.version);
    Arc::new(Method::new(key, method.name, method.kind, method.idempotent))
}
