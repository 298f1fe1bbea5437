//! Peers of two versions: what only the newer one knows is told to the caller, or taken by the
//! variant that is there for it.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "the whole file is a test")]

mod support;

use dubhe::prelude::*;
use dubhe::{Code, Delivery};
use support::memory;

mod old {
    use dubhe::prelude::*;

    #[dubhe::message]
    #[derive(Debug, PartialEq)]
    pub enum Payment {
        Unpaid,
        Voucher { code: String },
    }

    #[dubhe::message]
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum State {
        Unknown,
        Paid,
        #[rpc(other)]
        Other,
    }

    #[dubhe::error]
    #[derive(Debug)]
    pub enum Refusal {
        Closed,
        #[rpc(status)]
        Status(Status),
    }

    #[dubhe::service(name = "shop.Till")]
    pub trait Till {
        async fn pay(&self, payment: Payment, amount: u32) -> Result<State, Refusal>;
        async fn last(&self) -> Result<Vec<Payment>>;
    }
}

mod new {
    use dubhe::prelude::*;

    #[dubhe::message]
    #[derive(Debug, PartialEq)]
    pub enum Payment {
        Unpaid,
        Voucher { code: String },
        Crypto { coin: String },
    }

    #[dubhe::message]
    #[derive(Debug, Clone, Copy, PartialEq)]
    pub enum State {
        Unknown,
        Paid,
        Pending,
    }

    #[dubhe::error]
    #[derive(Debug)]
    pub enum Refusal {
        Closed,
        #[rpc(code = "out_of_range")]
        TooMuch {
            most: u32,
        },
        #[rpc(status)]
        Status(Status),
    }

    #[dubhe::service(name = "shop.Till")]
    pub trait Till {
        async fn pay(&self, payment: Payment, amount: u32) -> Result<State, Refusal>;
        async fn last(&self) -> Result<Vec<Payment>>;
    }
}

struct Clerk;

impl old::Till for Clerk {
    async fn pay(&self, payment: old::Payment, _: u32) -> Result<old::State, old::Refusal> {
        panic!("{payment:?} is what nobody sent")
    }

    async fn last(&self) -> Result<Vec<old::Payment>> {
        Ok(vec![old::Payment::Unpaid])
    }
}

impl new::Till for Clerk {
    async fn pay(&self, _: new::Payment, amount: u32) -> Result<new::State, new::Refusal> {
        if amount > 5 { Err(new::Refusal::TooMuch { most: 5 }) } else { Ok(new::State::Pending) }
    }

    async fn last(&self) -> Result<Vec<new::Payment>> {
        Ok(vec![new::Payment::Unpaid, new::Payment::Crypto { coin: "x".to_owned() }])
    }
}

const CODECS: [&str; 3] = ["protobuf", "msgpack", "json"];

#[tokio::test]
async fn an_argument_that_an_old_provider_does_not_know_is_told_to_the_caller() {
    use new::Till as _;
    let registry = memory();
    let provider = support::provider(&registry, "").serve(old::TillServer::new(Clerk));
    let provider = provider.start().await.unwrap();
    for codec in CODECS {
        let consumer = support::consumer(&registry, &format!("consumer.codec = \"{codec}\""));
        let till: new::TillClient = consumer.client().await.unwrap();
        let crypto = new::Payment::Crypto { coin: "x".to_owned() };
        let new::Refusal::Status(status) = till.pay(crypto, 1).await.unwrap_err() else {
            panic!("no status")
        };
        let (code, delivery) = (status.code(), status.delivery());
        assert_eq!((code, delivery), (Code::InvalidArgument, Delivery::Answered), "{codec}");
        let value = if codec == "protobuf" { "3" } else { "crypto" };
        let expected = format!(
            "payment: Payment has no variant `{value}` here, the peers have different versions"
        );
        assert!(status.message().contains(&expected), "{codec}: {status}");
    }
    provider.shutdown().await;
}

#[tokio::test]
async fn a_reply_that_an_old_consumer_does_not_know_is_told_or_taken() {
    use old::Till as _;
    let registry = memory();
    let provider = support::provider(&registry, "").serve(new::TillServer::new(Clerk));
    let provider = provider.start().await.unwrap();
    for codec in CODECS {
        let consumer = support::consumer(&registry, &format!("consumer.codec = \"{codec}\""));
        let till: old::TillClient = consumer.client().await.unwrap();
        let status = till.last().await.unwrap_err();
        let (code, delivery) = (status.code(), status.delivery());
        assert_eq!((code, delivery), (Code::Internal, Delivery::Answered), "{codec}");
        let value = if codec == "protobuf" { "3" } else { "crypto" };
        let expected = format!(
            "value[1]: Payment has no variant `{value}` here, the peers have different versions"
        );
        assert!(status.message().contains(&expected), "{codec}: {status}");

        let voucher = || old::Payment::Voucher { code: "free".to_owned() };
        assert_eq!(till.pay(voucher(), 1).await.unwrap(), old::State::Other, "{codec}");
        // An error that is unknown here arrives as its status.
        let old::Refusal::Status(status) = till.pay(voucher(), 6).await.unwrap_err() else {
            panic!("no status")
        };
        assert_eq!((status.code(), status.message()), (Code::OutOfRange, "too much"), "{codec}");
    }
    provider.shutdown().await;
}
