//! Calls that run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use super::super::{CallGuard, ConnectionShare};
use super::{server, taken};
use crate::body::Body;
use crate::message::Returned;
use crate::metadata::Metadata;
use crate::reply::Reply;
use crate::server::state::Phase;
use crate::status::{Delivery, Status};
use crate::stream::MessageSource;

/// Begins calls until there is no more; who told why.
fn begin_all(share: &Arc<ConnectionShare>) -> (Vec<CallGuard>, Status) {
    let mut begun = Vec::new();
    loop {
        assert_eq!(share.has_room(false), share.begin_call().is_ok());
        match share.begin_call() {
            Ok(guard) => begun.push(guard),
            Err(full) => return (begun, full),
        }
    }
}

fn begin_one_ways(share: &Arc<ConnectionShare>) -> Vec<CallGuard> {
    let mut begun = Vec::new();
    while share.has_room(true) {
        begun.push(share.begin_one_way().unwrap());
    }
    assert!(share.begin_one_way().is_err());
    begun
}

#[test]
fn one_alone_may_run_all_calls_and_beside_another_half_until_that_has_gone() {
    let state = server(8, 0);
    let first = ConnectionShare::new(state.clone());
    let (begun, full) = begin_all(&first);
    assert_eq!((begun.len(), full.is_full()), (8, true), "{full}");
    assert!(full.message().starts_with("8 calls run already"), "{full}");
    drop(begun);
    let second = ConnectionShare::new(state.clone());
    let (begun, full) = begin_all(&first);
    assert_eq!(begun.len(), 4);
    let text = "this caller runs 4 of 8 calls and leaves 4 to others";
    assert!(full.message().starts_with(text), "{full}");
    drop((begun, second));
    assert_eq!(begin_all(&first).0.len(), 8, "the other has gone");
    assert_eq!(taken(&state), (0, 0, 0));
}

#[test]
fn one_way_calls_of_all_leave_as_much_as_they_take() {
    let state = server(8, 0);
    let first = ConnectionShare::new(state.clone());
    // Alone, and still half: who sends them need not stay.
    let begun = begin_one_ways(&first);
    assert_eq!((begun.len(), taken(&state)), (4, (4, 4, 0)));
    assert!(first.has_room(false) && !first.has_room(true));
    let refused = first.begin_one_way().unwrap_err();
    assert!(refused.is_full() && refused.message().starts_with("4 one-way calls"), "{refused}");
    assert_eq!(taken(&state), (4, 4, 0), "who was refused counts no more");
    let second = ConnectionShare::new(state.clone());
    assert!(second.begin_one_way().is_err(), "another connection makes no room");
    drop(begun);
    assert_eq!(taken(&state), (0, 0, 0));
}

#[test]
fn a_call_that_runs_already_counts_over_the_limit() {
    let state = server(1, 0);
    let share = ConnectionShare::new(state.clone());
    let counted = [share.count_call(false), share.count_call(true), share.count_call(true)];
    assert_eq!(taken(&state), (3, 2, 0));
    assert!(!share.has_room(false) && share.begin_call().is_err());
    drop(counted);
    assert_eq!(taken(&state), (0, 0, 0));
}

#[test]
fn the_last_call_of_a_drain_wakes_who_waits_for_it() {
    let state = server(8, 0);
    let share = ConnectionShare::new(state.clone());
    let (one, another) = (share.begin_call().unwrap(), share.begin_call().unwrap());
    let (woken, waker) = woken();
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(1);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let mut waits = Box::pin(state.no_calls(deadline));
    let mut context = Context::from_waker(&waker);
    assert!(waits.as_mut().poll(&mut context).is_pending());
    drop(one);
    assert_eq!(woken.load(Ordering::Acquire), 0, "one runs yet");
    drop(another);
    assert_eq!(woken.load(Ordering::Acquire), 1);
    assert_eq!(waits.as_mut().poll(&mut context), Poll::Ready(0));
}

/// A waker that counts.
fn woken() -> (Arc<AtomicUsize>, Waker) {
    struct Counts(Arc<AtomicUsize>);
    impl std::task::Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }
    let count = Arc::new(AtomicUsize::new(0));
    (count.clone(), Arc::new(Counts(count)).into())
}

/// A stream of one message, with a word at its end.
struct One(bool);

impl MessageSource for One {
    fn poll_message(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Body, Status>>> {
        let is_first = std::mem::take(&mut self.0);
        Poll::Ready(is_first.then(|| Ok(Body::typed(Returned(())))))
    }

    fn trailers(self: Pin<&mut Self>) -> Metadata {
        let mut trailers = Metadata::new();
        trailers.insert("last", "word");
        trailers
    }
}

fn streaming() -> Reply {
    Reply { body: Body::stream(One(true)), ..Reply::new(Returned(())) }
}

#[test]
fn a_call_whose_reply_streams_counts_until_that_has_been_read() {
    let state = server(8, 0);
    let share = ConnectionShare::new(state.clone());
    let plain = share.begin_call().unwrap().until_end(Reply::new(Returned(()))).unwrap();
    assert_eq!((plain.body.is_stream(), taken(&state)), (false, (0, 0, 0)));
    let reply = share.begin_call().unwrap().until_end(streaming()).unwrap();
    assert!(reply.body.is_stream());
    let mut messages = reply.body.messages().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(messages.poll_next(&mut context), Poll::Ready(Some(Ok(_)))));
    assert_eq!(taken(&state), (1, 0, 0));
    assert!(matches!(messages.poll_next(&mut context), Poll::Ready(None)));
    assert_eq!(messages.trailers().value("last"), Some("word"));
    drop((messages, reply.body));
    assert_eq!(taken(&state), (0, 0, 0));
}

#[test]
fn a_reply_that_streams_goes_on_through_a_drain_and_ends_when_the_server_closes() {
    let state = server(8, 0);
    let share = ConnectionShare::new(state.clone());
    let reply = share.begin_call().unwrap().until_end(streaming()).unwrap();
    let mut messages = reply.body.messages().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    state.enter(Phase::Refusing);
    assert!(matches!(messages.poll_next(&mut context), Poll::Ready(Some(Ok(_)))));
    state.enter(Phase::Closing);
    let Poll::Ready(Some(Err(ended))) = messages.poll_next(&mut context) else { panic!() };
    assert_eq!((ended.code(), ended.delivery()), (crate::Code::Unavailable, Delivery::Answered));
}
