//! What this process says: warnings, by what they are about, panics, and every list that is applied.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::BoxError;

/// Under which a directory tells of each list that it goes over to.
const DIRECTORY: &str = "dubhe::directory";

/// More are counted and not kept.
const KEPT: usize = 100_000;

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());
static PANICS: AtomicUsize = AtomicUsize::new(0);
/// The fewest endpoints of any list since they were last asked for, by the address of the registry.
static FEWEST: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

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

/// Notes each list, as a look from time to time may miss one.
struct Lists;

/// What is told of a list.
#[derive(Default)]
struct Applied {
    registry: String,
    endpoints: Option<usize>,
}

impl Visit for Applied {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "endpoints" {
            self.endpoints = usize::try_from(value).ok();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "registry" {
            self.registry = format!("{value:?}");
        }
    }
}

impl<S: Subscriber> Layer<S> for Lists {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut applied = Applied::default();
        event.record(&mut applied);
        if let Some(endpoints) = applied.endpoints {
            let mut fewest = FEWEST.lock().unwrap_or_else(PoisonError::into_inner);
            let known = fewest.entry(applied.registry).or_insert(endpoints);
            *known = endpoints.min(*known);
        }
    }
}

/// The fewest endpoints of any list of the registry at this address that a consumer of this process has gone
/// over to since this was last asked; `None` if there was no other list.
pub(crate) fn fewest_applied(registry: &str) -> Option<usize> {
    FEWEST.lock().unwrap_or_else(PoisonError::into_inner).remove(registry)
}

/// Begins to count.
pub(crate) fn listen() -> Result<(), BoxError> {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    let is_list = filter_fn(|said| said.target() == DIRECTORY && *said.level() <= Level::DEBUG);
    let noting = tracing_subscriber::registry().with(Noting.with_filter(LevelFilter::WARN));
    Ok(noting.with(Lists.with_filter(is_list)).try_init()?)
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
