//! What the tasks of a call share with its handler: its end, and the metadata of its answer.
//!
//! A call pays for it when it is first used, by one allocation; until then it is a null pointer.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;

use tokio::time::timeout_at;
use tracing::{Instrument, Span};

use super::context::{CallContext, enter, with_current};
use super::shared_view::SharedView;
use crate::metadata::{Metadata, MetadataValue};
use crate::reply::Reply;
use crate::status::Status;

impl CallContext {
    /// `future` as a part of the call that is being answered here, for a task of its own: what it calls
    /// inherits the deadline of this call, [`current`](Self::current) is this call, and it runs in the
    /// span of this call.
    ///
    /// It ends, and `future` is dropped, when this call is cancelled, and at its deadline. The answer to
    /// the call does not end it. Outside of a call it is `future` and nothing else, so that a handler
    /// can be tried without one.
    ///
    /// ```
    /// # extern crate rpc_core as dubhe;
    /// use dubhe::Status;
    /// use dubhe::server::CallContext;
    ///
    /// # async fn price(_sku: String) -> Result<u32, Status> { Ok(7) }
    /// async fn total(skus: Vec<String>) -> Result<u32, Status> {
    ///     let mut prices = tokio::task::JoinSet::new();
    ///     for sku in skus {
    ///         prices.spawn(CallContext::scope(price(sku)));
    ///     }
    ///     let mut total = 0;
    ///     while let Some(price) = prices.join_next().await {
    ///         // That of the task, of its scope, of `price`.
    ///         total += price.map_err(|error| Status::internal(error.to_string()))???;
    ///     }
    ///     Ok(total)
    /// }
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// # assert_eq!(runtime.block_on(total(vec!["a".into(), "b".into()])).unwrap(), 14);
    /// ```
    ///
    /// # Errors
    /// `cancelled`, if the call was given up; `deadline_exceeded`, if its deadline has passed, also
    /// before `future` has begun.
    ///
    /// # Cancel safety
    /// Dropping it drops `future`, and has no effect on the call.
    pub fn scope<F: Future>(future: F) -> impl Future<Output = Result<F::Output, Status>> {
        let (context, span) = (shared(), Span::current());
        async move {
            let Some((context, shared)) = context.and_then(|c| Some((c.clone(), c.shared?))) else {
                return Ok(future.await);
            };
            let late = || Status::deadline_exceeded("the call that this is a part of has ended");
            let deadline = context.deadline();
            if deadline.is_past() {
                return Err(late());
            }
            let (mut future, mut slot) = (pin!(future.instrument(span)), Some(context));
            let viewed = poll_fn(|cx| enter(&mut slot, || future.as_mut().poll(cx)));
            let mut cancelled = shared.is_cancelled.subscribe();
            tokio::select! {
                biased;
                _ = cancelled.wait_for(|is_cancelled| *is_cancelled) => {
                    Err(Status::cancelled("the call that this is a part of was given up"))
                }
                result = timeout_at(deadline.instant(), viewed) => result.map_err(|_| late()),
            }
        }
    }

    /// Sets a key/value to go back beside the answer of the call that is being answered here, if that
    /// is a success; replaces what the key had. While a reply streams, it goes behind the last message.
    ///
    /// Says whether there is such a call, and its answer is not on its way yet; a handler that is tried
    /// without a call goes on all the same. The caller reads it by
    /// [`CallOptions::reply_metadata`](crate::client::CallOptions::reply_metadata), over HTTP it is a
    /// header. Over dubbo there is room for 128 of them, 16 KiB in all; past that the answer becomes
    /// `resource_exhausted`.
    pub fn set_reply_metadata(key: impl Into<String>, value: impl Into<MetadataValue>) -> bool {
        change_reply(|metadata| metadata.insert(key, value))
    }

    /// Adds a value to those of the key beside the answer, as
    /// [`set_reply_metadata`](Self::set_reply_metadata) sets one.
    pub fn append_reply_metadata(key: impl Into<String>, value: impl Into<MetadataValue>) -> bool {
        change_reply(|metadata| metadata.append(key, value))
    }

    /// What it shares with its clones from now on.
    pub(super) fn share(&mut self) -> &Arc<SharedView> {
        self.shared.get_or_insert_with(|| Arc::new(SharedView::new()))
    }
}

fn change_reply(change: impl FnOnce(&mut Metadata)) -> bool {
    let shared = with_current(|context| context.share().clone());
    shared.is_some_and(|shared| shared.reply().as_mut().map(change).is_some())
}

/// The call that is being answered here, sharing what is set of its answer.
pub(crate) fn shared() -> Option<CallContext> {
    with_current(|context| {
        context.share();
        context.clone()
    })
}

/// Puts beside the reply what was set for it in this view; a reply that streams may get more at its end.
pub(super) fn complete(view: &Option<CallContext>, reply: &mut Reply) {
    let Some(shared) = view.as_ref().and_then(|view| view.shared.as_ref()) else { return };
    let mut set = shared.reply();
    let streams = reply.body.is_stream();
    let rest = streams.then(Metadata::new);
    if let Some(set) = std::mem::replace(&mut *set, rest) {
        reply.metadata.extend(&set);
    }
}

/// Puts behind the last message what was set since the first.
pub(super) fn complete_stream(view: &Option<CallContext>, trailers: &mut Metadata) {
    let shared = view.as_ref().and_then(|view| view.shared.as_ref());
    if let Some(set) = shared.and_then(|shared| shared.reply().take()) {
        trailers.extend(&set);
    }
}

/// Ends the tasks in the scope of this view.
pub(super) fn cancel(view: &Option<CallContext>) {
    if let Some(shared) = view.as_ref().and_then(|view| view.shared.as_ref()) {
        shared.is_cancelled.send_replace(true);
    }
}
