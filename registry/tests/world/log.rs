//! What is logged in this program, by line: `message field=value …`.
//!
//! Lines of all its tests are together, so a test looks for a name that it alone has.

use std::fmt::{Debug, Write as _};
use std::sync::{Mutex, Once};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

static LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
static LISTENS: Once = Once::new();

/// Keeps what is logged from now on.
pub(crate) fn listen() {
    LISTENS.call_once(|| tracing::subscriber::set_global_default(Lines).unwrap());
}

/// How many lines have all of these parts.
pub(crate) fn logged(parts: &[&str]) -> usize {
    let log = LOG.lock().unwrap();
    log.iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

struct Lines;

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("dubhe") && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        LOG.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}
