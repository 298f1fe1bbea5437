//! Methods, their arguments and errors, and whole contracts; calls between both versions.

use dubhe::describe::{
    BodyForm, BodyPart, CallKind, ChangeKind, Contract, Difference, FieldLabel, Peers, ReadOutcome,
    RolloutOrder, ServiceDescription, Severity, TypeKind,
};
use dubhe::prelude::*;

use crate::harness::said;

fn of<Old: ServiceClient, New: ServiceClient>() -> Difference {
    ServiceDescription::of::<Old>().difference(&ServiceDescription::of::<New>())
}

fn told(difference: &Difference) -> Vec<(&str, ChangeKind, Severity)> {
    let findings = difference.findings.iter();
    findings.map(|it| (it.place.as_str(), it.kind, it.severity)).collect()
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub id: u64,
    pub customer: String,
}

mod v1 {
    use super::*;

    #[dubhe::service(name = "shop.Orders")]
    pub trait Orders {
        async fn double(&self, id: u64) -> Result<u64>;
        async fn place(&self, order: Order) -> Result<String>;
        #[rpc(oneway)]
        async fn note(&self, text: String) -> Result<()>;
        async fn log(&self, text: String) -> Result<()>;
        #[rpc(idempotent, timeout = "1s")]
        async fn left(&self, sku: String, at: u32) -> Result<u32>;
        async fn gone(&self, id: u64) -> Result<u64>;
    }
}

/// `id` is `number`, `place` takes more, `note` answers and `log` does not, `left` has its arguments in
/// another order, `gone` is `went`.
mod v2 {
    use super::*;

    #[dubhe::service(name = "shop.Orders")]
    pub trait Orders {
        async fn double(&self, number: u64) -> Result<u64>;
        async fn place(&self, order: Order, urgent: bool) -> Result<String>;
        async fn note(&self, text: String) -> Result<()>;
        #[rpc(oneway)]
        async fn log(&self, text: String) -> Result<()>;
        #[rpc(timeout = "2s")]
        async fn left(&self, at: u32, sku: String) -> Result<u32>;
        async fn went(&self, id: u64) -> Result<u64>;
    }
}

struct Newer;

impl v2::Orders for Newer {
    async fn double(&self, number: u64) -> Result<u64> {
        Ok(2 * number)
    }

    async fn place(&self, order: Order, _: bool) -> Result<String> {
        Ok(order.customer)
    }

    async fn note(&self, _: String) -> Result<()> {
        Ok(())
    }

    async fn log(&self, _: String) -> Result<()> {
        Ok(())
    }

    async fn left(&self, at: u32, sku: String) -> Result<u32> {
        Ok(at + sku.len() as u32)
    }

    async fn went(&self, id: u64) -> Result<u64> {
        Ok(id)
    }
}

#[test]
fn every_change_of_a_method_is_found_with_its_place() {
    let difference = of::<v1::OrdersClient, v2::OrdersClient>();
    let expected = [
        ("shop.Orders/place arguments", ChangeKind::BodyShape, Severity::Breaking),
        ("shop.Orders/note", ChangeKind::MethodKind, Severity::Compatible),
        ("shop.Orders/log", ChangeKind::MethodKind, Severity::Risky),
        ("shop.Orders/left", ChangeKind::Idempotence, Severity::Risky),
        ("shop.Orders/left", ChangeKind::CallerDefaults, Severity::Compatible),
        ("shop.Orders/gone", ChangeKind::MethodRemoved, Severity::Breaking),
        ("shop.Orders/went", ChangeKind::MethodAdded, Severity::Compatible),
        ("shop.Orders/double argument id", ChangeKind::FieldRenamed, Severity::Breaking),
        ("shop.Orders/left argument sku", ChangeKind::FieldRenumbered, Severity::Breaking),
        ("shop.Orders/left argument at", ChangeKind::FieldRenumbered, Severity::Breaking),
        ("shop.Orders/left arguments", ChangeKind::ArgumentOrder, Severity::Risky),
    ];
    let mut found = told(&difference);
    let mut expected = expected.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let gone = difference.findings.iter().find(|it| it.kind == ChangeKind::MethodRemoved);
    let remedy = &gone.unwrap().remedy;
    assert_eq!(remedy, "`#[rpc(name = \"gone\")]` keeps the name, if it is went now");
    let again = difference.findings.iter().find(|it| it.kind == ChangeKind::Idempotence);
    assert_eq!(again.unwrap().order, Some(RolloutOrder::CallersFirst));
}

/// The effects on old callers' arguments, of the finding at this place.
fn said_of(difference: &Difference, place: &str, form: BodyForm) -> Vec<ReadOutcome> {
    let finding = difference.findings.iter().find(|it| it.place == place).unwrap();
    let effects = finding.effects.iter().filter(|effect| {
        (effect.peers, effect.part, effect.form) == (Peers::OldCallers, BodyPart::Arguments, form)
    });
    effects.map(|effect| effect.outcome).collect()
}

#[tokio::test]
async fn what_is_said_of_arguments_is_what_old_callers_get_of_a_new_provider() {
    use v1::Orders as _;

    let difference = of::<v1::OrdersClient, v2::OrdersClient>();
    let pair = dubhe::testing::serve(v2::OrdersServer::new(Newer)).await.unwrap();
    let older: v1::OrdersClient = pair.client().await.unwrap();
    for form in BodyForm::ALL {
        let older = older.with(CallOptions::new().codec(form.name()));
        let is_protobuf = form == BodyForm::Protobuf;
        // Renamed: its number is the same, its name is not.
        let doubled = older.double(7).await.unwrap();
        let outcomes = said_of(&difference, "shop.Orders/double argument id", form);
        match doubled {
            14 => assert_eq!(outcomes, []),
            0 => assert_eq!(outcomes, [ReadOutcome::Lost]),
            other => panic!("{other}"),
        }
        assert_eq!(doubled == 14, is_protobuf);
        // The message was the whole body: protobuf has other numbers there, names are not found.
        let order = Order { id: 7, customer: "ann".to_owned() };
        let outcomes = said_of(&difference, "shop.Orders/place arguments", form);
        match older.place(order).await {
            Ok(customer) => {
                assert_eq!((customer.as_str(), &outcomes[..]), ("", &[ReadOutcome::Lost][..]));
            }
            Err(status) => {
                assert_eq!(status.code(), Code::InvalidArgument, "{status}");
                assert_eq!(outcomes, [ReadOutcome::Refused]);
            }
        }
        // Whether one waits for an answer is the caller's choice, and both methods run.
        older.note("x".to_owned()).await.unwrap();
        older.log("x".to_owned()).await.unwrap();
        // In another order: names are found, numbers are those of others.
        let outcomes = said_of(&difference, "shop.Orders/left argument sku", form);
        match older.left("abc".to_owned(), 4).await {
            Ok(left) => assert_eq!((left, outcomes), (7, vec![])),
            Err(_) => assert_eq!(outcomes, [ReadOutcome::Refused]),
        }
        assert_eq!(older.gone(1).await.unwrap_err().code(), Code::Unimplemented);
    }
    pair.shutdown().await;
}

mod errors {
    use super::*;

    #[dubhe::error]
    #[derive(Debug, PartialEq)]
    pub enum Refusal {
        #[rpc(code = "not_found")]
        OutOfStock {
            left: u32,
        },
        Closed,
        #[rpc(status)]
        Status(Status),
    }

    pub mod newer {
        use super::*;

        /// `OutOfStock` is called `SoldOut`, `Late` is new.
        #[dubhe::error]
        #[derive(Debug, PartialEq)]
        pub enum Refusal {
            #[rpc(code = "not_found")]
            SoldOut {
                left: u32,
            },
            Closed,
            Late,
            #[rpc(status)]
            Status(Status),
        }
    }

    #[dubhe::service(name = "test.Stock")]
    pub trait Stock {
        #[rpc(idempotent)]
        async fn take(&self, which: u32) -> Result<u32, Refusal>;
        #[rpc(idempotent)]
        async fn look(&self) -> Result<u32, Refusal>;
    }

    pub mod next {
        use super::*;

        #[dubhe::service(name = "test.Stock")]
        pub trait Stock {
            #[rpc(idempotent)]
            async fn take(&self, which: u32) -> Result<u32, newer::Refusal>;
            #[rpc(idempotent)]
            async fn look(&self) -> Result<u32>;
        }
    }

    pub struct Shelf;

    impl next::Stock for Shelf {
        async fn take(&self, which: u32) -> Result<u32, newer::Refusal> {
            Err(match which {
                0 => newer::Refusal::SoldOut { left: 3 },
                1 => newer::Refusal::Closed,
                _ => newer::Refusal::Late,
            })
        }

        async fn look(&self) -> Result<u32> {
            Ok(1)
        }
    }
}

#[tokio::test]
async fn an_error_that_is_not_known_arrives_as_its_status_and_that_is_said() {
    use errors::{Refusal, Stock as _};

    let difference = of::<errors::StockClient, errors::next::StockClient>();
    let expected = [
        ("test.Stock/look error", ChangeKind::ErrorType, Severity::Risky),
        ("Refusal.outOfStock", ChangeKind::VariantRenamed, Severity::Breaking),
        ("Refusal.late", ChangeKind::VariantAdded, Severity::Compatible),
    ];
    assert_eq!(told(&difference), expected);
    let pair = dubhe::testing::serve(errors::next::StockServer::new(errors::Shelf)).await.unwrap();
    let older: errors::StockClient = pair.client().await.unwrap();
    for form in BodyForm::ALL {
        let older = older.with(CallOptions::new().codec(form.name()));
        let renamed = older.take(0).await.unwrap_err();
        let alone = difference.findings[1].effects.iter().any(|it| {
            (it.peers, it.form, it.outcome) == (Peers::OldCallers, form, ReadOutcome::StatusAlone)
        });
        assert_eq!(alone, !matches!(renamed, Refusal::OutOfStock { left: 3 }), "{form}");
        assert_eq!(older.take(1).await.unwrap_err(), Refusal::Closed);
        assert!(matches!(older.take(2).await.unwrap_err(), Refusal::Status(_)));
    }
    assert!(
        said(&difference, Peers::OldCallers, BodyForm::Json).contains(&ReadOutcome::StatusAlone)
    );
    pair.shutdown().await;
}

mod results {
    use super::*;

    #[dubhe::service(name = "test.Results")]
    pub trait Results {
        async fn nothing(&self) -> Result<()>;
        async fn number(&self) -> Result<u64>;
        async fn whole(&self) -> Result<Order>;
        async fn watch(&self) -> Result<u64>;
    }

    pub mod next {
        use super::*;

        #[dubhe::service(name = "test.Results")]
        pub trait Results {
            async fn nothing(&self) -> Result<u64>;
            async fn number(&self) -> Result<()>;
            async fn whole(&self) -> Result<u64>;
            async fn watch(&self) -> Result<Streaming<u64>>;
        }
    }
}

#[test]
fn a_result_may_appear_and_not_become_another() {
    let difference = of::<results::ResultsClient, results::next::ResultsClient>();
    let expected = [
        ("test.Results/whole reply", ChangeKind::BodyShape, Severity::Breaking),
        ("test.Results/watch", ChangeKind::MethodKind, Severity::Breaking),
        ("result", ChangeKind::FieldAdded, Severity::Compatible),
        ("result", ChangeKind::FieldRemoved, Severity::Risky),
    ];
    assert_eq!(told(&difference), expected);
    assert_eq!(difference.findings[2].methods, ["nothing"]);
    assert_eq!(difference.findings[3].methods, ["number"]);
}

#[test]
fn what_is_not_known_here_is_told_and_not_passed_over() {
    let old = ServiceDescription::of::<v1::OrdersClient>();
    let changed = |change: fn(&mut ServiceDescription)| {
        let mut new = old.clone();
        change(&mut new);
        let difference = old.difference(&new);
        let not_compared =
            difference.findings.iter().filter(|it| it.kind == ChangeKind::NotCompared).count();
        assert_eq!(difference.severity(), Severity::Risky, "{difference}");
        not_compared
    };
    assert_eq!(changed(|of| of.methods[0].kind = CallKind::Unknown), 1);
    assert_eq!(changed(|of| of.messages[0].fields[0].label = FieldLabel::Unknown), 1);
    assert_eq!(changed(|of| of.messages[0].fields[0].value.kind = TypeKind::Unknown), 1);
    assert_eq!(changed(|of| of.messages.retain(|message| message.name != "Order")), 1);
}

#[test]
fn contracts_are_compared_service_by_service_and_survive_their_file() {
    let orders = ServiceDescription::of::<v1::OrdersClient>();
    let stock = ServiceDescription::of::<errors::StockClient>();
    let results = ServiceDescription::of::<results::ResultsClient>();
    let old = Contract::new([orders.clone(), stock.clone()]);
    let read = Contract::parse(&old.to_json()).unwrap();
    assert_eq!(read, old);
    assert_eq!(read.difference(&old).findings, []);
    let new = Contract::new([results, ServiceDescription::of::<v2::OrdersClient>()]);
    let difference = old.difference(&new);
    let found = told(&difference);
    assert!(found.contains(&("test.Stock", ChangeKind::ServiceRemoved, Severity::Breaking)));
    assert!(found.contains(&("test.Results", ChangeKind::ServiceAdded, Severity::Compatible)));
    let text = difference.to_string();
    assert!(text.contains("\ntest.Stock\nbreaking: test.Stock is gone"), "{text}");
    // One alone is compared with one alone, whatever they are called.
    let mut second = orders.clone();
    second.service = "shop.Orders:2".to_owned();
    let moved = Contract::new([orders]).difference(&Contract::new([second]));
    assert_eq!(told(&moved), [("shop.Orders", ChangeKind::ServiceKey, Severity::Breaking)]);
    assert_eq!(old.service("test.Stok").unwrap_err().to_string().matches("test.Stock").count(), 2);
}

#[test]
fn a_file_of_a_newer_version_is_read_as_far_as_it_is_known() {
    let json = Contract::new([ServiceDescription::of::<v1::OrdersClient>()]).to_json();
    let newer = json
        .replacen("\"services\"", "\"made\": {\"by\": \"any\"},\n  \"services\"", 1)
        .replacen("\"isIdempotent\"", "\"colour\": [1], \"isIdempotent\"", 1)
        .replacen("\"kind\": \"UNARY\"", "\"kind\": \"GOSSIP\"", 1);
    let read = Contract::parse(&newer).unwrap();
    assert_eq!(read.services[0].methods[0].kind, CallKind::Unknown);
    // As curl has it of `dubhe.Describe/describe`.
    let alone = serde_json::to_string(&read.services[0]).unwrap();
    assert_eq!(Contract::parse(&alone).unwrap(), read);
}

#[test]
fn a_file_that_is_no_contract_says_what_is_wrong_and_where() {
    let json = Contract::new([ServiceDescription::of::<v1::OrdersClient>()]).to_json();
    let wrong = |text: &str| Contract::parse(text).unwrap_err().to_string();
    let save = "save one by `dubhe idl --contract SERVICE`";
    assert_eq!(wrong(" \n"), format!("is empty: {save}"));
    assert_eq!(
        wrong("syntax = \"proto3\";"),
        format!("is a `.proto`, which does not tell enough: {save}")
    );
    let cut = wrong(&json[..json.len() / 2]);
    assert!(
        cut.starts_with("is not a contract: EOF while parsing") && cut.contains("line "),
        "{cut}"
    );
    let odd = wrong(&json.replacen("\"tag\": 1", "\"tag\": \"one\"", 1));
    assert!(odd.contains("tag") && odd.contains(" at line "), "{odd}");
    let newer = wrong(&json.replacen("\"contract\": 1", "\"contract\": 2", 1));
    assert_eq!(newer, "is a contract of form 2, and this version reads 1: update it");
    assert_eq!(
        wrong("{\"error\": {}}"),
        format!("is JSON, but not a contract: it has neither `contract` nor `service`; {save}")
    );
    let services = Contract::parse(&json).unwrap().services;
    let twice = Contract::new([services.clone(), services].concat()).to_json();
    assert_eq!(wrong(&twice), "has the service `shop.Orders` twice");
}
