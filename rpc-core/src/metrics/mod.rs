//! Rate, errors and duration of every method, counted where calls begin and end.
//!
//! On by default and cheap: a call touches handles that were looked up once per method, no map and
//! no label text. The form is Prometheus' text exposition.

pub(crate) mod gate;
mod tally;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

pub use self::tally::Tally;
use crate::method::Method;
use crate::service_key::ServiceKey;
use crate::status::{Code, Status};

/// Upper bounds of the duration buckets in seconds: 100 µs to 10 s.
const BUCKETS: [f64; 11] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    service: String,
    method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    service: String,
    method: String,
    code: CodeLabel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct CodeLabel(Code);

impl EncodeLabelValue for CodeLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        fmt::Write::write_str(encoder, self.0.name())
    }
}

#[derive(Debug, Clone, Copy)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The counters of one consumer or one provider; cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Mutex<Registry>,
    calls: Family<CallLabels, Counter>,
    durations: Family<MethodLabels, Histogram, Durations>,
    /// Counters by service that only some have, such as ejections: by name.
    tallies: Mutex<BTreeMap<String, Family<ServiceLabels, Counter>>>,
    /// Only where methods have gates: on the provider's side.
    gates: OnceLock<gate::Families>,
}

impl Metrics {
    /// Counters of a side: `consumer` or `provider`.
    #[must_use]
    pub fn new(side: &str) -> Self {
        let mut registry = Registry::with_prefix(format!("dubhe_{side}"));
        let calls = Family::<CallLabels, Counter>::default();
        let durations = Family::new_with_constructor(Durations);
        registry.register("calls", "Calls that ended, by code", calls.clone());
        let help = "Time from start to end of a call in seconds";
        registry.register("call_duration_seconds", help, durations.clone());
        let (registry, gates) = (Mutex::new(registry), OnceLock::new());
        Self(Arc::new(Inner { registry, calls, durations, tallies: Mutex::default(), gates }))
    }

    /// The counter of how often endpoints of `service` were ejected.
    #[must_use]
    pub fn ejections(&self, service: &ServiceKey) -> Tally {
        self.tally("ejections", "Endpoints taken out as they failed", service)
    }

    /// The counter `name` of `service`, of letters, digits and `_`; made when it is first asked for.
    #[must_use]
    pub fn tally(&self, name: &str, help: &str, service: &ServiceKey) -> Tally {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let mut tallies = self.0.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        let family = tallies.entry(name).or_insert_with_key(|name| {
            let family = Family::<ServiceLabels, Counter>::default();
            let mut registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
            registry.register(name, help, family.clone());
            family
        });
        let labels = ServiceLabels { service: service.as_str().to_owned() };
        Tally(family.get_or_create(&labels).clone())
    }

    /// The handles of `method`.
    #[must_use]
    pub fn method(&self, method: &Method) -> MethodMetrics {
        let (service, name) = (method.service().as_str().to_owned(), method.name().to_owned());
        let labels = MethodLabels { service: service.clone(), method: name.clone() };
        MethodMetrics(Arc::new(Handles {
            service,
            method: name,
            calls: self.0.calls.clone(),
            codes: Default::default(),
            durations: self.0.durations.get_or_create(&labels).clone(),
        }))
    }

    /// Everything counted so far, in Prometheus' text form.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        let registry = self.0.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// The handles of one method; cheap to clone.
#[derive(Clone)]
pub struct MethodMetrics(Arc<Handles>);

struct Handles {
    service: String,
    method: String,
    calls: Family<CallLabels, Counter>,
    codes: [OnceLock<Counter>; Code::ALL.len()],
    durations: Histogram,
}

impl MethodMetrics {
    /// Counts a call that ended after `elapsed`.
    #[inline]
    pub fn record<T>(&self, result: &Result<T, Status>, elapsed: Duration) {
        let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
        self.record_code(code, elapsed);
    }

    /// Counts a call that ended with `code` after `elapsed`.
    #[inline]
    pub fn record_code(&self, code: Code, elapsed: Duration) {
        self.0.durations.observe(elapsed.as_secs_f64());
        let counter = self.0.codes[usize::from(code.number())].get_or_init(|| {
            let (service, method) = (self.0.service.clone(), self.0.method.clone());
            let labels = CallLabels { service, method, code: CodeLabel(code) };
            self.0.calls.get_or_create(&labels).clone()
        });
        counter.inc();
    }

    /// How many calls have ended with `code`.
    #[must_use]
    pub fn count(&self, code: Code) -> u64 {
        self.0.codes[usize::from(code.number())].get().map_or(0, |counter| counter.get())
    }
}

impl fmt::Debug for MethodMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MethodMetrics({}/{})", self.0.service, self.0.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MethodKind;

    #[test]
    fn calls_are_counted_by_service_method_and_code() {
        let metrics = Metrics::new("consumer");
        let method = Method::new(ServiceKey::new("Greeter"), "hello", MethodKind::Unary, true);
        let handles = metrics.method(&method);
        handles.record(&Ok(()), Duration::from_micros(300));
        handles.record::<()>(&Err(Status::unavailable("x")), Duration::from_secs(2));
        metrics.ejections(method.service()).add_one();
        metrics.ejections(method.service()).add_one();
        let text = metrics.render();
        for line in [
            r#"dubhe_consumer_calls_total{service="Greeter",method="hello",code="ok"} 1"#,
            r#"dubhe_consumer_calls_total{service="Greeter",method="hello",code="unavailable"} 1"#,
            r#"dubhe_consumer_call_duration_seconds_count{service="Greeter",method="hello"} 2"#,
            r#"dubhe_consumer_ejections_total{service="Greeter"} 2"#,
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
