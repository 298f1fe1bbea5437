//! Which arguments `consistenthash` may be told to hash: those that a method of its setting has.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use dubhe::Error;
use support::memory;

mod api {
    use dubhe::prelude::*;

    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) struct Order {
        pub(crate) sku: String,
        pub(crate) amount: u32,
    }

    #[dubhe::service(name = "test.Stock")]
    pub(crate) trait Stock {
        async fn ping(&self) -> Result<()>;
        async fn left(&self, sku: String) -> Result<u32>;
        /// A message is one argument, whatever it holds.
        async fn reserve(&self, order: Order) -> Result<u32>;
        async fn shift(&self, sku: String, from: u32, to: u32) -> Result<()>;
    }

    #[dubhe::service(name = "test.Health")]
    pub(crate) trait Health {
        async fn ping(&self) -> Result<()>;
    }
}
use api::{HealthClient, StockClient};

const STOCK: &str = "consumer.services.\"test.Stock\"";

fn hashing(section: &str, arguments: &str) -> String {
    format!(
        "[{section}]\nloadbalance = {{ name = \"consistenthash\", hash_arguments = {arguments} }}\n"
    )
}

async fn stock(toml: &str) -> Result<StockClient, Error> {
    support::consumer(&memory(), toml).client().await
}

#[tokio::test]
async fn a_position_that_no_method_of_the_service_has_is_pointed_at() {
    for section in ["consumer", STOCK] {
        let message = stock(&hashing(section, "[0, 3]")).await.unwrap_err().to_string();
        assert_eq!(
            message,
            format!(
                "dubhe.toml:2:63: {section}.loadbalance.hash_arguments[1]: no method has an \
                 argument 3: test.Stock/shift has the most, 3, write 0 to 2"
            )
        );
    }
}

#[tokio::test]
async fn a_position_of_one_method_is_held_against_that_method() {
    for (method, position, told) in [
        ("reserve", 1, "test.Stock/reserve has no argument 1: it has 1, write 0"),
        ("ping", 1, "test.Stock/ping has no argument 1: it has none, leave it out"),
        ("left", 99, "test.Stock/left has no argument 99: it has 1, write 0"),
    ] {
        let section = format!("{STOCK}.methods.{method}");
        let toml = hashing(&section, &format!("[{position}]"));
        let message = stock(&toml).await.unwrap_err().to_string();
        assert_eq!(
            message,
            format!("dubhe.toml:2:60: {section}.loadbalance.hash_arguments[0]: {told}")
        );
    }
}

#[tokio::test]
async fn methods_without_the_argument_do_without_it_while_another_has_it() {
    for toml in [
        hashing("consumer", "[2]"),
        hashing(STOCK, "[0, 2]"),
        // The method that has it has a setting of its own, the others are not asked for more.
        hashing(STOCK, "[0]") + &hashing(&format!("{STOCK}.methods.shift"), "[1, 2]"),
    ] {
        stock(&toml).await.unwrap_or_else(|error| panic!("{toml}: {error}"));
    }
    // The first argument is the default, which claims nothing.
    let consumer = support::consumer(&memory(), "consumer.loadbalance = \"consistenthash\"");
    consumer.client::<HealthClient>().await.unwrap();
}

#[tokio::test]
async fn a_setting_is_not_excused_by_a_method_that_has_its_own() {
    let toml = hashing(STOCK, "[2]") + &hashing(&format!("{STOCK}.methods.shift"), "[1]");
    let message = stock(&toml).await.unwrap_err().to_string();
    let start = format!("dubhe.toml:2:60: {STOCK}.loadbalance.hash_arguments[0]: no method has an");
    assert!(message.starts_with(&start), "{message}");
}
