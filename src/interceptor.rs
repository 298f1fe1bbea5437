//! Closures as layers: what looks at a call, changes it or refuses it, without waiting for anything.

use std::fmt;
use std::future::ready;
use std::sync::Arc;

use rpc_core::{BoxInvoker, Invocation, Invoke, ReplyFuture, Status};
use tower_layer::Layer;

/// A layer of one closure, which sees each call before whatever is inside of it, and may change it or
/// refuse it with a status: for [`Provider::layer`](crate::Provider::layer),
/// [`ConsumerBuilder::call_layer`](crate::ConsumerBuilder::call_layer) and
/// [`attempt_layer`](crate::ConsumerBuilder::attempt_layer), also for one service or method.
///
/// It costs a call no allocation. What has to wait, or wants to see the reply, is a tower layer.
///
/// A consumer's interceptor that refuses ends the call. A refusal by which another provider may be asked
/// has the delivery [`NotSent`](crate::Delivery::NotSent), on the provider's side
/// [`Refused`](crate::Delivery::Refused).
///
/// ```
/// use dubhe::prelude::*;
/// use dubhe::{Invocation, interceptor};
///
/// # #[dubhe::service]
/// # trait Greeter { async fn hello(&self, name: String) -> Result<String>; }
/// # struct Me;
/// # impl Greeter for Me {
/// #     async fn hello(&self, name: String) -> Result<String> { Ok(format!("hi {name}")) }
/// # }
/// # #[tokio::main]
/// # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// let guarded = Provider::new("memory://interceptor")
///     .layer(interceptor(|call: &mut Invocation| match call.metadata.value("token") {
///         Some("open sesame") => Ok(()),
///         _ => Err(Status::unauthenticated("show the token")),
///     }))
///     .serve(GreeterServer::new(Me));
/// # let guarded = guarded.set("provider.port", 0).set("provider.notice", "0s").start().await?;
/// let consumer = Consumer::new("memory://interceptor")
///     .call_layer(interceptor(|call: &mut Invocation| {
///         call.metadata.insert("token", "open sesame");
///         Ok(())
///     }))
///     .build()?;
/// let greeter: GreeterClient = consumer.client().await?;
/// assert_eq!(greeter.hello("bob".into()).await?, "hi bob");
/// # let stranger = GreeterClient::connect("memory://interceptor").await?;
/// # assert_eq!(stranger.hello("bob".into()).await.unwrap_err().code(), Code::Unauthenticated);
/// # guarded.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub fn interceptor<F>(intercept: F) -> Interceptor<F>
where
    F: Fn(&mut Invocation) -> Result<(), Status> + Send + Sync + 'static,
{
    Interceptor(Arc::new(intercept))
}

/// The layer that [`interceptor`] makes; clones share its closure.
pub struct Interceptor<F>(Arc<F>);

impl<F> Layer<BoxInvoker> for Interceptor<F>
where
    F: Fn(&mut Invocation) -> Result<(), Status> + Send + Sync + 'static,
{
    type Service = BoxInvoker;

    fn layer(&self, inner: BoxInvoker) -> BoxInvoker {
        BoxInvoker::from_invoke(Intercepted { intercept: self.0.clone(), inner })
    }
}

impl<F> Clone for Interceptor<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F> fmt::Debug for Interceptor<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interceptor")
    }
}

struct Intercepted<F> {
    intercept: Arc<F>,
    inner: BoxInvoker,
}

impl<F> Invoke for Intercepted<F>
where
    F: Fn(&mut Invocation) -> Result<(), Status> + Send + Sync + 'static,
{
    fn invoke(&self, mut invocation: Invocation) -> ReplyFuture {
        match (self.intercept)(&mut invocation) {
            Ok(()) => self.inner.invoke(invocation),
            Err(status) => Box::pin(ready(Err(status))),
        }
    }
}
