//! What this process says loudly: warnings, by what they are about, and panics.

use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::BoxError;

/// More are counted and not kept.
const KEPT: usize = 100_000;

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static PANICS: AtomicUsize = AtomicUsize::new(0);

struct Noting;

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // A string takes all.
        let _ = write!(self.0, " {field}={value:?}");
    }
}

impl<S: Subscriber> Layer<S> for Noting {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = event.metadata().target().to_owned();
        event.record(&mut Text(&mut text));
        let mut warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < KEPT {
            warnings.push(text);
        }
    }
}

/// Begins to count.
pub(crate) fn listen() -> Result<(), BoxError> {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    Ok(tracing_subscriber::registry().with(Noting.with_filter(LevelFilter::WARN)).try_init()?)
}

/// How often this process has panicked.
pub(crate) fn panics() -> usize {
    PANICS.load(Ordering::Relaxed)
}

/// The warnings that hold all of these texts.
pub(crate) fn with(texts: &[&str]) -> Vec<String> {
    let warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    let holds = |warning: &&String| texts.iter().all(|text| warning.contains(text));
    warnings.iter().filter(holds).cloned().collect()
}
