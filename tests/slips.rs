//! Settings of a service that is called by nearly that name: a warning that everybody sees.
//!
//! One test in a file of its own: which events are wanted is cached for the whole process.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use support::memory;
use support::shop::ShopClient;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry};

/// Notes every warning as text.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Text<'a>(&'a mut String);

impl Visit for Text<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!("{field}: {value:?}; "));
    }
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::WARN {
            let mut text = String::new();
            event.record(&mut Text(&mut text));
            self.0.lock().unwrap().push(text);
        }
    }
}

#[tokio::test]
async fn a_section_for_a_service_of_nearly_this_name_is_told_when_a_client_is_made() {
    let warnings = Warnings::default();
    let _noting = tracing::subscriber::set_default(Registry::default().with(warnings.clone()));
    let made = async |section: &str| {
        let toml = format!("[consumer.services.{section}]\nretries = 1\n");
        support::consumer(&memory(), &toml).client::<ShopClient>().await.unwrap();
        std::mem::take(&mut *warnings.0.lock().unwrap())
    };
    for (section, name) in [("\"test.Shpo\"", "test.Shpo"), ("Shop", "Shop")] {
        let told = made(section).await;
        let [text] = &told[..] else { panic!("one warning for {section}: {told:?}") };
        for part in
            ["service: test.Shop;", &format!("section: {name:?};"), "place: dubhe.toml:1:20;"]
        {
            assert!(text.contains(part), "{text}");
        }
    }
    // Those are for another program that shares the file, or for another client of this one.
    for section in ["\"test.Cart\"", "\"test.Shop\"", "\"test.Shop:2.0.0\""] {
        assert_eq!(made(section).await, Vec::<String>::new(), "{section}");
    }
}
