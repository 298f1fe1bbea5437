//! What a generated descriptor says of its trait.

use std::collections::HashMap;
use std::time::Duration;

use dubhe_rpc_macros::{message, service};
use rpc_core::__private::Record;
use rpc_core::client::ServiceClient;
use rpc_core::descriptor::{MethodDescriptor, Shape, Type};
use rpc_core::message::{Field, Returned};
use rpc_core::{MethodKind, Reply, Result};

/// Greets people.
///
/// In several ways.
#[service(crate = rpc_core, name = "demo.Greeter", group = "blue", version = "1.0.0")]
trait Greeter {
    /// Says hello.
    #[rpc(idempotent, timeout = "300ms", retries = 2, cluster = "failfast")]
    async fn hello(&self, name: String) -> Result<String>;
    #[rpc(name = "addUp", fallback = "0")]
    async fn add(&self, a: u32, b_or_more: Vec<u64>) -> Result<u32>;
    #[rpc(oneway, timeout = "2m")]
    async fn log(&self) -> Result<()>;
    async fn r#type(&self) -> Result<Option<bool>> {
        Ok(None)
    }
}

#[message(crate = rpc_core, class = "com.shop.Place")]
#[derive(Debug, PartialEq)]
struct Place {
    #[rpc(class = "short")]
    shelf: u32,
    near: Option<Box<Self>>,
}

/// The fallback of a failed call.
#[service(crate = rpc_core)]
trait Fallbacks {
    async fn nothing(&self) -> Result<()>;
    async fn maybe(&self) -> Result<Option<u32>>;
    async fn several(&self) -> Result<Vec<Place>>;
    async fn by_name(&self) -> Result<HashMap<String, u32>>;
    async fn number(&self) -> Result<u32>;
    async fn text(&self) -> Result<String>;
    async fn bytes(&self) -> Result<Vec<u8>>;
    async fn place(&self) -> Result<Place>;
    #[rpc(fallback = "[{\"shelf\":7}]")]
    async fn some(&self) -> Result<Vec<Place>>;
    #[rpc(fallback = "\"none\"")]
    async fn word(&self) -> Result<String>;
    #[rpc(fallback = "{\"shelf\":1,\"near\":{\"shelves\":2}}")]
    async fn typo(&self) -> Result<Place>;
    #[rpc(fallback = "[]")]
    async fn other_type(&self) -> Result<u32>;
    #[rpc(fallback = "[1, 2")]
    async fn no_json(&self) -> Result<Vec<u32>>;
}

#[service(crate = rpc_core)]
trait Store<T: Field> {
    async fn put(&self, value: T) -> Result<()>;
    async fn find(&self) -> Result<T>;
}

fn method(name: &str) -> &'static MethodDescriptor {
    let methods = GreeterClient::DESCRIPTOR.methods.iter();
    let mut found = methods.filter(|method| method.name == name);
    found.next().expect("the trait has this method")
}

#[test]
fn a_service_is_named_by_its_attribute() {
    let service = GreeterClient::DESCRIPTOR;
    assert_eq!(service.interface, "demo.Greeter");
    assert_eq!((service.group, service.version), ("blue", "1.0.0"));
    assert_eq!(service.doc, "Greets people.\n\nIn several ways.");
}

#[test]
fn a_service_without_a_name_has_that_of_the_trait() {
    let service = StoreClient::<u32>::DESCRIPTOR;
    assert_eq!(service.interface, "Store");
    assert_eq!((service.group, service.version, service.doc), ("", "", ""));
}

#[test]
fn methods_stand_in_the_order_of_declaration() {
    let methods = GreeterClient::DESCRIPTOR.methods.iter();
    let names: Vec<_> = methods.map(|method| method.name).collect();
    assert_eq!(names, ["hello", "addUp", "log", "type"]);
    for method in GreeterClient::DESCRIPTOR.methods {
        let fields = (method.arguments)().fields.len();
        let arguments = method.signature.unwrap().arguments;
        assert_eq!(arguments.len(), fields, "{}", method.name);
    }
}

#[test]
fn a_signature_tells_each_argument_and_the_result() {
    let of = |name| method(name).signature.unwrap();
    let arguments = of("addUp").arguments.iter();
    let arguments: Vec<_> = arguments.map(|one| (one.name, (one.shape)())).collect();
    let expected =
        [("a", Shape::Single(Type::Uint32)), ("b_or_more", Shape::Repeated(Type::Uint64))];
    assert_eq!(arguments, expected);
    assert_eq!((of("addUp").result)(), Shape::Single(Type::Uint32));
    assert_eq!((of("type").result)(), Shape::Optional(Type::Bool));
    assert!(of("log").arguments.is_empty());
    let put = StoreClient::<Place>::DESCRIPTOR.methods[0].signature.unwrap();
    assert!(put.takes_message() && !of("hello").takes_message());
    let Shape::Single(Type::Message(_, place)) = (put.arguments[0].shape)() else {
        panic!("a place is a message");
    };
    assert_eq!(place().class, "com.shop.Place");
}

#[test]
fn a_foreign_name_is_told_to_formats() {
    let schema = <Place as Record>::SCHEMA;
    assert_eq!((schema.name, schema.class), ("Place", "com.shop.Place"));
    assert_eq!(schema.fields.iter().map(|field| field.class).collect::<Vec<_>>(), ["short", ""]);
}

#[test]
fn settings_of_a_method_are_those_of_its_attribute() {
    let hello = method("hello");
    assert_eq!((hello.doc, hello.kind), ("Says hello.", MethodKind::Unary));
    assert!(hello.idempotent);
    assert_eq!(hello.timeout, Some(Duration::from_millis(300)));
    assert_eq!((hello.retries, hello.cluster), (Some(2), Some("failfast")));
    assert_eq!(method("addUp").fallback, Some("0"));
    assert_eq!(method("log").kind, MethodKind::OneWay);
    assert_eq!(method("log").timeout, Some(Duration::from_secs(120)));
}

#[test]
fn a_method_without_settings_leaves_them_to_the_configuration() {
    let plain = method("type");
    assert_eq!((plain.doc, plain.kind), ("", MethodKind::Unary));
    assert!(!plain.idempotent && plain.error.is_none());
    assert_eq!((plain.timeout, plain.retries), (None, None));
    assert_eq!((plain.cluster, plain.fallback), (None, None));
}

#[test]
fn arguments_form_a_message_in_their_order() {
    let arguments = (method("addUp").arguments)();
    assert_eq!(arguments.name, "GreeterAddArguments");
    let fields: Vec<_> = arguments
        .fields
        .iter()
        .map(|field| (field.name, field.json_name, field.tag, (field.shape)()))
        .collect();
    let expected = [
        ("a", "a", 1, Shape::Single(Type::Uint32)),
        ("b_or_more", "bOrMore", 2, Shape::Repeated(Type::Uint64)),
    ];
    assert_eq!(fields, expected);
    assert!((method("log").arguments)().fields.is_empty());
}

#[test]
fn types_of_a_generic_service_are_those_of_its_parameters() {
    let numbers = StoreClient::<u32>::DESCRIPTOR.methods;
    let texts = StoreClient::<Option<String>>::DESCRIPTOR.methods;
    let argument = |method: &MethodDescriptor| ((method.arguments)().fields[0].shape)();
    let reply = |method: &MethodDescriptor| ((method.reply)().fields[0].shape)();
    assert_eq!(argument(&numbers[0]), Shape::Single(Type::Uint32));
    assert_eq!(argument(&texts[0]), Shape::Optional(Type::String));
    assert_eq!(reply(&numbers[1]), Shape::Single(Type::Uint32));
    assert_eq!(reply(&texts[1]), Shape::Optional(Type::String));
}

/// The fallback of this method.
fn fallback(name: &str) -> std::result::Result<Option<Reply>, String> {
    let mut methods = FallbacksClient::DESCRIPTOR.methods.iter();
    let method = methods.find(|method| method.name == name).expect("the trait has this method");
    method.fallback_reply().map_err(|error| error.to_string())
}

#[test]
fn the_empty_value_stands_in_where_there_is_one() {
    for name in ["nothing", "maybe", "several", "by_name"] {
        assert!(fallback(name).expect("no fallback can be wrong").is_some(), "{name}");
    }
    for name in ["number", "text", "bytes", "place"] {
        assert!(fallback(name).expect("no fallback can be wrong").is_none(), "{name}");
    }
}

#[test]
fn a_fallback_is_the_json_of_the_value() {
    let some = fallback("some").expect("it fits").expect("it is there");
    let Returned(places) = some.body.decode::<Returned<Vec<Place>>>().expect("its own form");
    assert_eq!(places, [Place { shelf: 7, near: None }]);
    let word = fallback("word").expect("it fits").expect("it is there");
    let Returned(word) = word.body.decode::<Returned<String>>().expect("its own form");
    assert_eq!(word, "none");
}

#[test]
fn a_fallback_that_does_not_fit_names_the_method_and_what_is_wrong() {
    let message = fallback("typo").expect_err("a place has no such field");
    assert!(message.starts_with("fallback = \"{\\\"shelf"), "{message}");
    assert!(message.contains("of `typo` does not fit what the method returns"), "{message}");
    assert!(message.contains("Place has no field `shelves`, available: shelf, near"), "{message}");
    for name in ["other_type", "no_json"] {
        let message = fallback(name).expect_err("no value of the type");
        assert!(message.contains(&format!("of `{name}` does not fit")), "{message}");
    }
}
