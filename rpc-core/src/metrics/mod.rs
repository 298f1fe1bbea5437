//! Rate, errors and duration of every method, counted where calls begin and end.
//!
//! On by default and cheap: a call touches handles that were looked up once per method, no map and
//! no label text. The form is Prometheus' text exposition, alone or among a program's own metrics.

mod families;
pub(crate) mod gate;
mod labels;
mod tally;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use self::families::Families;
pub use self::gate::GateState;
use self::labels::{CallLabels, CodeLabel, MethodLabels, ServiceLabels};
pub use self::tally::Tally;
use crate::method::Method;
use crate::service_key::ServiceKey;
use crate::status::{Code, Status};

/// Upper bounds of the duration buckets in seconds: 100 µs to 10 s.
const BUCKETS: [f64; 11] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 10.0];

#[derive(Debug, Clone, Copy)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The counters of one consumer or one provider; cheap to clone.
///
/// A program that has metrics of its own takes these among them: where it keeps a
/// [`Registry`] of `prometheus-client` 0.25, as a [`Collector`]; where it writes text in another way,
/// by [`write_families`](Self::write_families).
///
/// ```
/// use prometheus_client::encoding::text::encode;
/// use prometheus_client::metrics::counter::Counter;
/// use prometheus_client::registry::Registry;
///
/// let orders: Counter = Counter::default();
/// let mut registry = Registry::default();
/// registry.register("orders", "Orders taken", orders.clone());
///
/// # let provider = rpc_core::Metrics::new("provider");
/// # let greeter = rpc_core::ServiceKey::new("Greeter");
/// # provider.ejections(&greeter).add_one();
/// // `provider` is what `metrics()` of a running provider returns.
/// registry.register_collector(Box::new(provider.clone()));
///
/// let mut page = String::new();
/// encode(&mut page, &registry)?;
/// assert!(page.contains("orders_total 0\n"));
/// assert!(page.contains("# TYPE dubhe_provider_"));
/// # Ok::<(), std::fmt::Error>(())
/// ```
///
/// The families of two providers have the same names. Where both are in one registry, each stands in
/// a sub-registry with a prefix of its own (`sub_registry_with_prefix`).
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    families: Families,
    calls: Family<CallLabels, Counter>,
    durations: Family<MethodLabels, Histogram, Durations>,
    /// Counters by service that only some have, such as ejections: by name.
    tallies: Mutex<BTreeMap<String, Family<ServiceLabels, Counter>>>,
    /// Only where methods have gates: on the provider's side.
    gates: OnceLock<gate::GateFamilies>,
}

impl Metrics {
    /// Counters of a side: `consumer` or `provider`.
    #[must_use]
    pub fn new(side: &str) -> Self {
        let families = Families::of(side);
        let calls = Family::<CallLabels, Counter>::default();
        let durations = Family::new_with_constructor(Durations);
        families.add("calls", "Calls that ended, by code", calls.clone());
        let help = "Time from start to end of a call in seconds";
        families.add("call_duration_seconds", help, durations.clone());
        let (tallies, gates) = (Mutex::default(), OnceLock::new());
        Self(Arc::new(Inner { families, calls, durations, tallies, gates }))
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
            self.0.families.add(name, help, family.clone());
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

    /// Everything counted so far, in OpenMetrics' text form: a whole page, as `GET /metrics` returns
    /// it.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_families(&mut text).and_then(|()| encode_eof(&mut text));
        text
    }

    /// Writes what [`render`](Self::render) returns without its last line, `# EOF`, so that it can
    /// stand beside other metrics on one page.
    ///
    /// # Errors
    /// Those of `page`.
    pub fn write_families(&self, page: &mut impl fmt::Write) -> fmt::Result {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        encode_registry(page, &registry)
    }
}

impl Collector for Metrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.families.encode(encoder)
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

    /// What was counted since is in it, families that came since too.
    #[test]
    fn metrics_join_a_registry_of_the_program_with_its_prefix_and_labels() {
        let (metrics, mut registry) = (Metrics::new("provider"), Registry::default());
        let own = Counter::<u64>::default();
        registry.register("orders", "Orders taken", own.clone());
        let labelled = registry.sub_registry_with_label(("zone".into(), "east".into()));
        let named = labelled.sub_registry_with_prefix("shop");
        named.register_collector(Box::new(metrics.clone()));
        metrics.tally("late", "Late ones", &ServiceKey::new("Greeter")).add_one();
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert_eq!(
            text,
            "# HELP orders Orders taken.\n# TYPE orders counter\norders_total 0\n\
             # HELP shop_dubhe_provider_late Late ones.\n\
             # TYPE shop_dubhe_provider_late counter\n\
             shop_dubhe_provider_late_total{zone=\"east\",service=\"Greeter\"} 1\n# EOF\n"
        );
    }

    #[test]
    fn families_of_several_sides_stand_on_one_page() {
        let (provider, consumer) = (Metrics::new("provider"), Metrics::new("consumer"));
        for metrics in [&provider, &consumer] {
            metrics.ejections(&ServiceKey::new("Greeter")).add_one();
        }
        let mut page = String::from("own 1\n");
        provider.write_families(&mut page).unwrap();
        consumer.write_families(&mut page).unwrap();
        assert!(!page.contains("# EOF"), "{page}");
        assert_eq!(page.matches("ejections_total{service=\"Greeter\"} 1\n").count(), 2, "{page}");
        assert!(consumer.render().ends_with("} 1\n# EOF\n"));
    }
}
