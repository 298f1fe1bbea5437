//! Notices handlers that hold their thread: hands the connection on that such a thread drives, and
//! names the method once.
//!
//! Each thread counts the polls of handlers it begins and ends. One watcher for the process looks at
//! the counts every [`TICK`]; it parks once no handler has been polled for a while. A poll costs a few
//! plain stores; time is read by the watcher alone.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

/// How often the watcher looks. A poll that is seen twice has lasted for as long at least.
const TICK: Duration = Duration::from_millis(2);

/// So many looks at which no handler was polled send the watcher to sleep.
const QUIET: u32 = 25;

/// A handler that holds its thread for as long is named in a warning.
const WORTH_A_WARNING: Duration = Duration::from_millis(100);

static WATCH: Watch = Watch {
    threads: Mutex::new(Vec::new()),
    methods: Mutex::new(BTreeMap::new()),
    watching: Mutex::new(None),
    asleep: AtomicBool::new(false),
};

/// The number of the next method or connection; 0 is none.
static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static HERE: Local = Local::default();
}

/// A connection that one task drives, and another one can drive on.
///
/// A protocol that polls handlers in the task of their connection implements it, so that a handler
/// that holds its thread does not hold up the others.
pub trait HandOn: Send + Sync {
    /// Has another task drive the connection, if a handler is being polled by the one that does.
    /// Called by a thread outside of any runtime.
    fn hand_on(self: Arc<Self>);
}

/// Tells a connection from the others of the process.
#[derive(Debug)]
pub struct DrivenId(u64);

impl DrivenId {
    /// A number that no other connection has.
    #[must_use]
    pub fn next() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes that this thread drives the connection from now on; asks for it only if that is news.
    #[inline]
    pub fn driven_here(&self, connection: impl FnOnce() -> Weak<dyn HandOn>) {
        HERE.with(|here| {
            if here.driven.replace(self.0) != self.0 {
                *lock(&here.thread.driven) = Some(connection());
            }
        });
    }
}

/// A method by the number under which its polls count.
pub(super) struct Watched(u64);

impl Watched {
    pub(super) fn new(path: Arc<str>) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        lock(&WATCH.methods).insert(number, Watchable { path, named: false });
        Self(number)
    }

    /// Polls a handler of this method. `poll` does not panic.
    #[inline]
    pub(super) fn poll<T>(&self, poll: impl FnOnce() -> T) -> T {
        HERE.with(|here| {
            // A handler may call another one inside the process.
            let outer = here.thread.turn_to(self.0);
            if WATCH.asleep.load(Ordering::Relaxed) {
                WATCH.wake();
            }
            let polled = poll();
            here.thread.turn_to(outer);
            polled
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&WATCH.methods).remove(&self.0);
    }
}

/// Keeps the watcher while it lives; the last one ends it.
#[derive(Debug)]
pub struct Watching(());

impl Watching {
    /// Begins to watch the handlers of this process, if that has not begun.
    #[must_use]
    pub fn begin() -> Self {
        let mut watching = lock(&WATCH.watching);
        match &mut *watching {
            Some(begun) => begun.users += 1,
            None => match thread::Builder::new().name("dubhe-watch".to_owned()).spawn(watch) {
                Ok(thread) => *watching = Some(Begun { users: 1, thread: thread.thread().clone() }),
                Err(error) => {
                    tracing::warn!(
                        target: "dubhe::provider",
                        %error,
                        "cannot watch for handlers that hold their thread: calls may wait for them"
                    );
                }
            },
        }
        Self(())
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut watching = lock(&WATCH.watching);
        let Some(begun) = &mut *watching else { return };
        begun.users -= 1;
        if begun.users == 0 {
            begun.thread.unpark();
            *watching = None;
        }
    }
}

/// The threads and methods of the process, and the thread that watches them.
struct Watch {
    threads: Mutex<Vec<Weak<Thread>>>,
    methods: Mutex<BTreeMap<u64, Watchable>>,
    watching: Mutex<Option<Begun>>,
    /// Whether the watcher must be woken by the next poll.
    asleep: AtomicBool,
}

struct Watchable {
    path: Arc<str>,
    /// Whether a warning has named it.
    named: bool,
}

struct Begun {
    users: usize,
    thread: thread::Thread,
}

impl Watch {
    #[cold]
    fn wake(&self) {
        if self.asleep.swap(false, Ordering::AcqRel)
            && let Some(begun) = &*lock(&self.watching)
        {
            begun.thread.unpark();
        }
    }

    /// Whether this thread is the watcher that is wanted.
    fn is_wanted(&self) -> bool {
        let here = thread::current().id();
        lock(&self.watching).as_ref().is_some_and(|begun| begun.thread.id() == here)
    }

    fn name(&self, method: u64) {
        let path = {
            let mut methods = lock(&self.methods);
            let Some(watchable) = methods.get_mut(&method).filter(|method| !method.named) else {
                return;
            };
            watchable.named = true;
            watchable.path.clone()
        };
        tracing::warn!(
            target: "dubhe::provider",
            call = &*path,
            held_for_at_least = ?WORTH_A_WARNING,
            "a handler holds its thread, so other calls wait: move what blocks or computes for long \
             to `tokio::task::spawn_blocking`"
        );
    }
}

/// A thread that polls handlers, as the watcher sees it.
struct Thread {
    /// Counts polls that begin or end here.
    turns: AtomicU64,
    /// The method whose handler is being polled; 0 if there is none.
    method: AtomicU64,
    driven: Mutex<Option<Weak<dyn HandOn>>>,
    /// The runtime of which it is one thread among several.
    runtime: Option<Handle>,
}

impl Thread {
    /// Notes that `method` is polled from now on; returns what was.
    #[inline]
    fn turn_to(&self, method: u64) -> u64 {
        // Only this thread writes here.
        let before = self.method.load(Ordering::Relaxed);
        self.method.store(method, Ordering::Relaxed);
        self.turns.store(self.turns.load(Ordering::Relaxed) + 1, Ordering::Release);
        before
    }

    /// Wakes another thread of the runtime. All others may be parked while this one, which was the
    /// last to wait for sockets and timers, does not come back to that.
    fn wake_another(&self) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(async {});
        }
    }
}

/// The entry of the thread itself, removed when it ends.
struct Local {
    thread: Arc<Thread>,
    /// The number of what is driven here.
    driven: Cell<u64>,
}

impl Default for Local {
    fn default() -> Self {
        let several = |runtime: &Handle| runtime.runtime_flavor() != RuntimeFlavor::CurrentThread;
        let thread = Arc::new(Thread {
            turns: AtomicU64::new(0),
            method: AtomicU64::new(0),
            driven: Mutex::new(None),
            runtime: Handle::try_current().ok().filter(several),
        });
        lock(&WATCH.threads).push(Arc::downgrade(&thread));
        Self { thread, driven: Cell::new(0) }
    }
}

/// A thread as the watcher saw it last.
struct Seen {
    thread: Arc<Thread>,
    turns: u64,
    /// At so many looks since, it was at the same turn.
    held: u32,
}

/// The watcher's own loop.
fn watch() {
    let (mut seen, mut quiet) = (Vec::new(), 0);
    while WATCH.is_wanted() {
        quiet = if look(&mut seen) { 0 } else { quiet + 1 };
        if quiet == QUIET {
            WATCH.asleep.store(true, Ordering::SeqCst);
        }
        // One more look after it said that it sleeps: whoever has not heard that is seen now.
        if quiet <= QUIET {
            thread::park_timeout(TICK);
        } else {
            seen = Vec::new();
            while WATCH.asleep.load(Ordering::Acquire) && WATCH.is_wanted() {
                thread::park();
            }
            quiet = 0;
        }
    }
}

/// Looks at every thread; `false` if no handler was polled since the last look.
fn look(seen: &mut Vec<Seen>) -> bool {
    let threads: Vec<Arc<Thread>> = {
        let mut threads = lock(&WATCH.threads);
        threads.retain(|thread| thread.strong_count() > 0);
        threads.iter().filter_map(Weak::upgrade).collect()
    };
    seen.retain(|seen| threads.iter().any(|thread| Arc::ptr_eq(thread, &seen.thread)));
    let mut busy = false;
    for thread in threads {
        let turns = thread.turns.load(Ordering::Acquire);
        let method = thread.method.load(Ordering::Relaxed);
        let Some(seen) = seen.iter_mut().find(|seen| Arc::ptr_eq(&thread, &seen.thread)) else {
            busy |= turns > 0;
            seen.push(Seen { thread, turns, held: 0 });
            continue;
        };
        if seen.turns != turns || method == 0 {
            busy |= seen.turns != turns;
            (seen.turns, seen.held) = (turns, 0);
            continue;
        }
        busy = true;
        seen.held = seen.held.saturating_add(1);
        if seen.held == 1 {
            thread.wake_another();
            let driven = lock(&thread.driven).as_ref().and_then(Weak::upgrade);
            if let Some(driven) = driven {
                driven.hand_on();
            }
        }
        if TICK.saturating_mul(seen.held) >= WORTH_A_WARNING {
            WATCH.name(method);
        }
    }
    busy
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
