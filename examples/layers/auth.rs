//! Authentication: the consumer's layer sends a token, the provider's asks for it.
//!
//! A layer makes a service around a service. `Invoke` is the short form for one that answers
//! through `&self`; `timing.rs` has the long form, a tower service.

use std::future::ready;

use dubhe::extend::{Invoke, ReplyFuture};
use dubhe::prelude::*;
use dubhe::{BoxInvoker, Invocation};
use tower_layer::Layer;

const KEY: &str = "token";

/// Around calls: sends the token with each.
pub struct SendToken(pub &'static str);

impl Layer<BoxInvoker> for SendToken {
    type Service = BoxInvoker;

    fn layer(&self, inner: BoxInvoker) -> BoxInvoker {
        BoxInvoker::from_invoke(Sending { inner, token: self.0 })
    }
}

struct Sending {
    inner: BoxInvoker,
    token: &'static str,
}

impl Invoke for Sending {
    fn invoke(&self, mut invocation: Invocation) -> ReplyFuture {
        invocation.metadata.insert(KEY, self.token);
        self.inner.invoke(invocation)
    }
}

/// Around handlers: turns calls without the token away, the handler does not run.
pub struct RequireToken(pub &'static str);

impl Layer<BoxInvoker> for RequireToken {
    type Service = BoxInvoker;

    fn layer(&self, inner: BoxInvoker) -> BoxInvoker {
        BoxInvoker::from_invoke(Requiring { inner, token: self.0 })
    }
}

struct Requiring {
    inner: BoxInvoker,
    token: &'static str,
}

impl Invoke for Requiring {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        match invocation.metadata.value(KEY) {
            Some(token) if token == self.token => self.inner.invoke(invocation),
            Some(_) => Box::pin(ready(Err(Status::unauthenticated("the token is wrong")))),
            None => Box::pin(ready(Err(Status::unauthenticated("no token is shown")))),
        }
    }
}
