//! Every `.proto` that is printed is one for protoc, however odd the definitions are.
//!
//! Needs the Python of `python_protobuf.rs`, which carries protoc.
//!
//! Long because each oddity is a service of its own.

#![allow(
    dead_code,
    non_camel_case_types,
    non_snake_case,
    clippy::empty_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "the whole file is a test"
)]

mod support;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use rpc_core::client::ServiceClient;
use rpc_core::descriptor::ServiceDescriptor;
use rpc_core::message::Element;
use rpc_core::{Result, Status, Streaming};
use rpc_macros::{error, message, service};

use support::{Everything, python};

mod dashes {
    use super::*;

    #[service(crate = rpc_core, name = "shop-eu.1st.Inventory$1")]
    pub trait Names {
        #[rpc(name = "say-hello")]
        async fn x(&self) -> Result<()>;
        #[rpc(name = "say_hello")]
        async fn y(&self) -> Result<()>;
        #[rpc(name = "$invoke")]
        async fn z(&self) -> Result<()>;
        #[rpc(name = "2nd")]
        async fn w(&self) -> Result<()>;
    }

    #[service(crate = rpc_core, name = "a..b")]
    pub trait Dots {
        async fn x(&self) -> Result<()>;
    }
}

mod unicode {
    use super::*;

    #[message(crate = rpc_core, name = "Street")]
    pub struct Straße {
        #[rpc(name = "height")]
        pub höhe: u32,
    }

    #[message(crate = rpc_core)]
    pub enum Farbe {
        #[rpc(name = "GREEN")]
        Grün,
        Rot,
    }

    #[message(crate = rpc_core, name = "Shape")]
    pub enum Größe {
        #[rpc(name = "very_small")]
        Schmäl { x: u32 },
        #[rpc(name = "big_2")]
        Groß2(u32),
        #[rpc(name = "wide")]
        Breit,
    }

    #[service(crate = rpc_core, name = "Ways")]
    pub trait Wege {
        async fn x(&self, m: Straße, f: Farbe) -> Result<Größe>;
        #[rpc(name = "further")]
        async fn ö(&self, a: u32, b: Vec<Größe>) -> Result<()>;
    }
}

/// Names of types, fields, methods and packages that are each other's.
mod alike {
    use super::*;

    #[message(crate = rpc_core)]
    pub enum Color {
        Red,
        Green,
    }

    /// Named as its field.
    #[message(crate = rpc_core)]
    pub struct leaf {
        pub a: u32,
        #[rpc(name = "Color")]
        pub c: Color,
        pub leaf: Vec<leaf>,
    }

    #[message(crate = rpc_core)]
    pub struct Order {
        pub order: Option<Box<Order>>,
        pub leaf: leaf,
    }

    #[service(crate = rpc_core, name = "Order.Color.Shop")]
    pub trait Shop {
        async fn x(&self, o: Order, p: Vec<Order>) -> Result<Order>;
        #[rpc(name = "Order")]
        async fn order(&self, leaf: leaf, color: Color) -> Result<Color>;
    }

    #[service(crate = rpc_core, name = "Order")]
    pub trait Orders {
        async fn x(&self, o: Order) -> Result<Order>;
    }
}

/// Types of one name, and names that joining makes twice.
mod twice {
    use super::*;

    pub mod v1 {
        use super::*;

        #[message(crate = rpc_core)]
        pub struct Item {
            pub a: u32,
        }

        #[message(crate = rpc_core)]
        pub enum State {
            Old,
        }
    }

    pub mod v2 {
        use super::*;

        #[message(crate = rpc_core)]
        pub struct Item {
            pub b: String,
        }

        #[message(crate = rpc_core)]
        pub enum State {
            New,
        }
    }

    /// The same fields as `v1::Item`, and another type.
    pub mod v3 {
        use super::*;

        #[message(crate = rpc_core)]
        pub struct Item {
            pub a: u32,
        }
    }

    #[message(crate = rpc_core)]
    pub struct Page<T> {
        pub items: Vec<T>,
    }

    #[message(crate = rpc_core)]
    pub struct EventClick {
        pub x: i32,
    }

    #[message(crate = rpc_core)]
    pub enum Event {
        None,
        Click { target: String },
        Sub(EventClick),
    }

    #[service(crate = rpc_core)]
    pub trait Two {
        async fn old(&self, p: Page<v1::Item>) -> Result<v1::State>;
        async fn new(&self, p: Page<v2::Item>) -> Result<v2::State>;
        async fn third(&self, p: Page<v3::Item>) -> Result<Vec<v3::Item>>;
        async fn all(&self, a: v1::Item, b: v2::Item, c: v3::Item) -> Result<Event>;
        async fn say_hello(&self, a: u32, b: u32) -> Result<Vec<u8>>;
        async fn sayHello(&self, a: u32) -> Result<bytes::Bytes>;
    }
}

mod words {
    use super::*;

    #[message(crate = rpc_core, reserved(3, 18_000))]
    pub struct Fields {
        pub x1: u32,
        pub _y: u32,
        pub z_: u32,
        pub a__b: u32,
        pub fooBar: u32,
        pub r#type: u32,
        pub message: u32,
        pub optional: u32,
        pub string: String,
        pub oneof: u32,
        pub map: HashMap<String, u8>,
        pub reserved: u32,
        pub rpc: u32,
        pub syntax: Vec<()>,
        pub option: Option<()>,
        pub stream: BTreeMap<bool, ()>,
    }

    #[message(crate = rpc_core, reserved(2, 3))]
    #[derive(Debug)]
    pub enum Plain {
        Unknown,
        A,
        ValueB,
        r#type,
        #[rpc(other)]
        Other(String),
    }

    #[message(crate = rpc_core, reserved(1))]
    pub enum Data {
        Unknown,
        Value {
            x: u32,
        },
        Kind(Plain),
        #[rpc(other)]
        Other,
    }

    #[message(crate = rpc_core)]
    pub struct Value {
        pub v: Plain,
        pub kind: Data,
        pub w: Vec<Plain>,
    }

    #[error(crate = rpc_core)]
    #[derive(Debug)]
    pub enum Failure {
        Closed,
        r#type,
        Late {
            by: Plain,
        },
        #[rpc(status)]
        Status(Status),
    }

    #[service(crate = rpc_core)]
    pub trait Msg {
        #[rpc(idempotent)]
        async fn rpc(&self, of: Fields) -> Result<Value, Failure>;
        #[rpc(oneway)]
        async fn service(&self, a__b: Option<u16>, _c: i8) -> Result<()>;
        async fn stream(&self, values: Streaming<Value>) -> Result<Streaming<HashMap<u8, Plain>>>;
    }
}

/// Comments that could end a comment.
mod comments {
    use super::*;

    #[doc = "multi\nline */ x\0y"]
    #[doc = "a\r\nb\rmessage X {}"]
    #[message(crate = rpc_core)]
    pub struct M {
        #[doc = "x\u{2028}y"]
        pub a: u32,
    }

    #[doc = "\u{7}"]
    #[service(crate = rpc_core)]
    pub trait Commented {
        #[doc = "\n\n"]
        async fn x(&self, m: M) -> Result<()>;
    }
}

/// Protobuf's own types beside a package and a message that hide them.
mod times {
    use super::*;
    use std::time::{Duration, SystemTime};

    #[message(crate = rpc_core)]
    pub struct google {
        pub wait: Duration,
        pub since: Vec<SystemTime>,
        pub by_name: HashMap<String, Duration>,
    }

    #[service(crate = rpc_core, name = "shop.google.Times")]
    pub trait Times {
        async fn one(&self, of: google) -> Result<Duration>;
        async fn two(&self, of: Option<SystemTime>) -> Result<Vec<Duration>>;
    }
}

/// Lists in lists and the like, beside messages of the names that these get.
mod nested {
    use super::*;

    #[message(crate = rpc_core)]
    #[derive(PartialEq, Eq, Hash)]
    pub struct Sku(u64);

    #[message(crate = rpc_core)]
    pub struct Uint64List {
        pub items: Vec<Vec<Sku>>,
    }

    #[message(crate = rpc_core)]
    #[derive(PartialEq, Eq, Hash)]
    pub enum Color {
        Red,
    }

    #[message(crate = rpc_core)]
    pub struct All {
        pub own: Vec<Uint64List>,
        pub maybe: Option<Vec<u8>>,
        pub maybe_list: Option<HashMap<Sku, Vec<Option<Uint64List>>>>,
        /// By colour.
        pub by_color: HashMap<Color, [Color; 2]>,
        pub pairs: Vec<(Option<Color>, [[f64; 3]; 3])>,
        pub id: [u8; 16],
    }

    #[service(crate = rpc_core)]
    pub trait Deep {
        async fn all(&self, of: All) -> Result<Vec<Vec<All>>>;
        async fn pair(&self, of: (u8, String), and: Option<(u8, String)>) -> Result<[i8; 4]>;
    }
}

mod everything {
    use super::*;

    #[service(crate = rpc_core, name = "dubhe.test.All")]
    pub trait All<T: Element> {
        async fn one(&self, of: Everything) -> Result<T>;
        async fn more(&self, of: Everything, and: T) -> Result<BTreeMap<String, T>>;
    }
}

fn services() -> Vec<&'static ServiceDescriptor> {
    vec![
        dashes::NamesClient::DESCRIPTOR,
        dashes::DotsClient::DESCRIPTOR,
        unicode::WegeClient::DESCRIPTOR,
        alike::ShopClient::DESCRIPTOR,
        alike::OrdersClient::DESCRIPTOR,
        twice::TwoClient::DESCRIPTOR,
        words::MsgClient::DESCRIPTOR,
        comments::CommentedClient::DESCRIPTOR,
        times::TimesClient::DESCRIPTOR,
        nested::DeepClient::DESCRIPTOR,
        everything::AllClient::<u64>::DESCRIPTOR,
        everything::AllClient::<Everything>::DESCRIPTOR,
        everything::AllClient::<twice::Page<words::Plain>>::DESCRIPTOR,
    ]
}

#[test]
fn protoc_takes_every_file_that_is_printed() {
    let Some(python) = python() else { return };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("proto_files");
    fs::create_dir_all(&folder).unwrap();
    for (index, service) in services().into_iter().enumerate() {
        let (name, text) = (format!("service{index}.proto"), service.to_proto());
        fs::write(folder.join(&name), &text).unwrap();
        let protoc = Command::new(&python)
            .args(["-m", "grpc_tools.protoc", "--fatal_warnings", "-I"])
            .args([&*folder, &*folder.join(&name)])
            .arg(format!("--descriptor_set_out={}", folder.join("out").display()))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&protoc.stderr);
        assert!(protoc.status.success(), "{}: {said}\n{text}", service.interface);
    }
}

#[test]
fn what_a_proto_cannot_name_is_named_in_a_comment() {
    let text = dashes::NamesClient::DESCRIPTOR.to_proto();
    for line in [
        "package shop_eu._1st;",
        "// On the wire: shop-eu.1st.Inventory$1",
        "service Inventory_1 {",
        "  // On the wire: say-hello",
        "  rpc say_hello2(",
        "  rpc say_hello(",
        "  rpc _invoke(",
        "  rpc _2nd(",
    ] {
        assert!(text.lines().any(|found| found.starts_with(line)), "{line}\n{text}");
    }
    let text = words::MsgClient::DESCRIPTOR.to_proto();
    assert!(text.contains("  enum Value {\n    reserved 2, 3;\n    UNKNOWN = 0;"), "{text}");
}

#[test]
fn types_of_one_name_stay_apart_and_a_type_is_printed_once() {
    let text = twice::TwoClient::DESCRIPTOR.to_proto();
    let defined = |line: &str| text.lines().filter(|found| *found == line).count();
    for message in ["Page_Item", "Page_Item2", "Page_Item3", "Item", "Item2", "Item3"] {
        assert_eq!(defined(&format!("message {message} {{")), 1, "{message}\n{text}");
    }
    for message in ["State", "State2", "EventClick", "EventClick2", "TwoSayHelloArguments2"] {
        assert_eq!(defined(&format!("message {message} {{")), 1, "{message}\n{text}");
    }
    // Which wraps no type of its own is one message, whatever it is in Rust.
    assert_eq!(defined("message BytesReply {"), 1, "{text}");
    assert_eq!(defined("message BytesReply2 {"), 0, "{text}");
    let page = text.split("message Page_Item2 {").nth(1).unwrap();
    assert!(page.trim_start().starts_with("repeated Item2 items = 1;"), "{text}");
    let item = text.split("message Item2 {").nth(1).unwrap();
    assert!(item.trim_start().starts_with("string b = 1;"), "{text}");
}
