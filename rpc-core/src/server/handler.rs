//! What generated servers are: a table of methods that answer invocations.

use crate::descriptor::ServiceDescriptor;
use crate::invocation::Invocation;
use crate::invoker::ReplyFuture;

/// A service that can be served; `#[dubhe::service]` makes one of every implementation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be served",
    note = "serve the server that `#[dubhe::service]` made of the trait: for a `trait Shop` that is \
            `ShopServer::new(implementation)`"
)]
pub trait Handler: Send + Sync + 'static {
    /// The trait as data.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    /// Answers a call of the method at `index` of the descriptor.
    ///
    /// A failure of a method that has begun has the delivery `Answered`, also if it is that of a
    /// call the method made: one that says `Refused` would be sent again.
    fn call(&self, index: usize, invocation: Invocation) -> ReplyFuture;
}
