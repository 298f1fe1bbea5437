//! A provider that is newer than this version says things of its services that are not known here.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "the whole file is a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use dubhe::Delivery;
use dubhe::describe::{CallKind, FieldLabel, TypeKind};
use dubhe::prelude::*;
use protocols::{Server, TcpListen};
use rpc_core::server::{Dispatcher, ServerConfig};
use rpc_core::{Codecs, Metrics, Params};
use serde_json::json;

/// Messages of `dubhe.Describe` with variants that no version has yet.
mod newer {
    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub struct ServiceDescription {
        pub service: String,
        #[rpc(tag = 3)]
        pub methods: Vec<MethodDescription>,
        pub messages: Vec<MessageDescription>,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub struct MethodDescription {
        pub name: String,
        #[rpc(tag = 3)]
        pub kind: CallKind,
        #[rpc(tag = 9)]
        pub arguments: String,
        pub reply: String,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub enum CallKind {
        Unary,
        Gossip = 77,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub struct MessageDescription {
        pub name: String,
        #[rpc(tag = 3)]
        pub fields: Vec<FieldDescription>,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub struct FieldDescription {
        pub name: String,
        pub json_name: String,
        #[rpc(tag = 4)]
        pub tag: u32,
        pub label: FieldLabel,
        #[rpc(tag = 7)]
        pub value: TypeDescription,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub enum FieldLabel {
        Single,
        Matrix = 77,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub struct TypeDescription {
        pub kind: TypeKind,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub enum TypeKind {
        Unknown,
        Quaternion = 77,
    }
}

#[dubhe::service(name = "dubhe.Describe")]
trait Describe {
    #[rpc(idempotent)]
    async fn describe(&self, service: String) -> Result<newer::ServiceDescription>;
}

struct Newer;

impl Describe for Newer {
    async fn describe(&self, service: String) -> Result<newer::ServiceDescription> {
        let method = |name: &str, kind| newer::MethodDescription {
            name: name.to_owned(),
            kind,
            arguments: "Arguments".to_owned(),
            reply: "Arguments".to_owned(),
        };
        let field = |name: &str, tag, label, kind| newer::FieldDescription {
            name: name.to_owned(),
            json_name: name.to_owned(),
            tag,
            label,
            value: newer::TypeDescription { kind },
        };
        let fields = vec![
            field("turn", 1, newer::FieldLabel::Single, newer::TypeKind::Quaternion),
            field("table", 2, newer::FieldLabel::Matrix, newer::TypeKind::Unknown),
        ];
        Ok(newer::ServiceDescription {
            service,
            methods: vec![
                method("tell", newer::CallKind::Unary),
                method("chat", newer::CallKind::Gossip),
            ],
            messages: vec![newer::MessageDescription { name: "Arguments".to_owned(), fields }],
        })
    }
}

#[dubhe::service(name = "test.Village")]
trait Village {
    #[rpc(idempotent)]
    async fn tell(&self, turn: String) -> Result<String>;
}

struct Well;

impl Village for Well {
    async fn tell(&self, turn: String) -> Result<String> {
        Ok(turn)
    }
}

/// The address of a provider whose description is newer; it stops with the value.
fn newer_provider() -> (Server, String) {
    let codec = |name| codecs::builtin().build(name, Params::new()).unwrap();
    let codecs = Codecs::new(codec("protobuf"), [codec("json")]);
    let mut dispatcher = Dispatcher::new(codecs, Metrics::new("provider"));
    let village = Arc::new(VillageServer::new(Well));
    dispatcher.add("test.Village".parse().unwrap(), village, |_, inner| inner).unwrap();
    let describe = Arc::new(DescribeServer::new(Newer));
    dispatcher.add("dubhe.Describe".parse().unwrap(), describe, |_, inner| inner).unwrap();
    let listener = TcpListen::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let registry = format!("static://{}", listener.socket_addr());
    let protocols = protocols::table().unwrap();
    let config = ServerConfig::default();
    let server = Server::new(vec![Box::new(listener)], Arc::new(dispatcher), protocols, config);
    (server, registry)
}

#[tokio::test]
async fn a_method_of_an_unknown_kind_is_refused_in_words_and_not_called_as_another() {
    let (_server, registry) = newer_provider();
    let consumer = support::consumer(&registry, "");
    let client = consumer.dynamic(&"test.Village".parse().unwrap()).await.unwrap();
    let chat = client.method("chat").unwrap();
    assert_eq!((chat.kind, chat.kind()), (CallKind::Unknown, None));
    let status = client.call("chat", json!(["x", []])).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unimplemented, Delivery::NotSent));
    let told = "test.Village/chat is of a kind that this version does not know";
    assert!(status.message().starts_with(told), "{status}");
    assert_eq!(client.check("chat", &json!([])).unwrap_err().message(), status.message());
}

#[tokio::test]
async fn values_of_types_that_are_not_known_here_are_left_to_the_provider() {
    let (_server, registry) = newer_provider();
    let consumer = support::consumer(&registry, "");
    let service = "test.Village".parse().unwrap();
    let client = consumer.dynamic(&service).await.unwrap();
    let reply = client.call("tell", json!(["so", { "any": ["thing"] }])).await.unwrap();
    assert_eq!(reply, json!({ "value": "so" }));
    let described = consumer.describe(&service, Duration::from_secs(5)).await.unwrap();
    let [turn, table] = &described.message("Arguments").unwrap().fields[..] else {
        panic!("two fields")
    };
    assert_eq!((turn.label, turn.value.kind), (FieldLabel::Single, TypeKind::Unknown));
    assert_eq!((table.label, table.value.kind), (FieldLabel::Unknown, TypeKind::Unknown));
    assert_eq!([turn, table].map(|field| field.type_text()), ["unknown", "unknown of unknown"]);
    let refused = described.to_proto().unwrap_err().to_string();
    assert!(refused.contains("is not known here"), "{refused}");
}
