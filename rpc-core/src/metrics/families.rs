//! The families of one side by name, in the order they were added; some come while calls run.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Metric;

/// What a side counts.
pub(super) struct Families {
    prefix: String,
    list: Mutex<Vec<Entry>>,
}

struct Entry {
    name: String,
    help: String,
    metric: Box<dyn Metric>,
}

impl Families {
    /// None yet, of a side: `consumer` or `provider`.
    pub(super) fn of(side: &str) -> Self {
        Self { prefix: format!("dubhe_{side}"), list: Mutex::default() }
    }

    /// Adds one whose name continues the prefix of the side.
    pub(super) fn add(&self, name: &str, help: &str, metric: impl Metric) {
        let (name, help) = (format!("{}_{name}", self.prefix), format!("{help}."));
        let entry = Entry { name, help, metric: Box::new(metric) };
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    }

    /// Writes those that have counted anything.
    pub(super) fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        for Entry { name, help, metric } in list.iter().filter(|entry| !entry.metric.is_empty()) {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
        }
        Ok(())
    }
}
