//! What the log says of a gate: one line for each change.
//!
//! Alone in its program, because who listens to events is known to the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use support::pool::Provided;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Notes every event of a gate: its level and what it says.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<(Level, String)>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "dubhe::gate"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push((*event.metadata().level(), line.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn one_line_of_the_log_tells_of_each_change_of_a_gate() {
    let lines = Lines::default();
    tracing::subscriber::set_global_default(lines.clone()).unwrap();
    let mut provided = Provided::new(false);
    provided.offer(4, 2).await;
    assert!(lines.0.lock().unwrap().is_empty());
    provided.offer(80, 4).await;
    provided.offer(4, 4).await;
    let lines = lines.0.lock().unwrap();
    assert!(lines.iter().all(|(level, _)| *level == Level::INFO), "{lines:#?}");
    let starts = ["gate=\"trial\"", "gate=\"on\"", "gate=\"off\""];
    assert_eq!(lines.len(), starts.len(), "{lines:#?}");
    for ((_, line), state) in lines.iter().zip(starts) {
        let said =
            ["Test/echo", state, "`provider.gate`", "unloaded=", "took=", "late=", "refused="];
        assert!(said.iter().all(|said| line.contains(said)), "{line}");
    }
    assert!(lines[1].1.contains("limit="), "{}", lines[1].1);
}
