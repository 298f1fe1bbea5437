//! What `#[message]` makes of structs and enums, seen through the object-safe [`Message`].

#![allow(
    clippy::unwrap_used,
    clippy::use_self,
    unreachable_pub,
    reason = "the whole file is a test"
)]

use std::collections::BTreeMap;

use dubhe_rpc_macros::{arguments, error, message};
use rpc_core::message::{BusinessError, Describe, Element, Message};
use rpc_core::{Code, Status};

#[message(crate = rpc_core, reserved(2))]
#[derive(Debug, Clone, PartialEq)]
struct User {
    id: u64,
    full_name: String,
    tags: Vec<String>,
    friends: BTreeMap<i32, User>,
    best: Option<Box<User>>,
    #[rpc(tag = 9, name = "blob")]
    data: Vec<u8>,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
struct Page<T: Element> {
    items: Vec<T>,
    r#type: u32,
}

#[message(crate = rpc_core)]
#[derive(Debug, PartialEq, Default)]
struct Nothing;

fn proto<M: Message + Default>(message: &M) -> M {
    let mut bytes = bytes::BytesMut::new();
    message.encode_proto(&mut bytes).unwrap();
    assert_eq!(bytes.len(), message.proto_len());
    let mut read = M::default();
    read.merge_proto(bytes.freeze(), &mut rpc_core::codec::Limits::default()).unwrap();
    read
}

fn sample() -> Page<User> {
    let friend = User { id: 1, ..User::default() };
    let user = User {
        id: u64::MAX,
        full_name: "Ada".into(),
        tags: vec!["".into(), "x".into()],
        friends: BTreeMap::from([(-1, friend.clone())]),
        best: Some(Box::new(friend)),
        data: vec![0, 255],
    };
    Page { items: vec![user.clone(), User::default(), user], r#type: 7 }
}

#[test]
fn a_message_survives_protobuf_and_json() {
    let page = sample();
    assert_eq!(proto(&page), page);
    let text = serde_json::to_string(&page).unwrap();
    assert_eq!(serde_json::from_str::<Page<User>>(&text).unwrap(), page);
    assert_eq!(proto(&Nothing), Nothing);
}

#[test]
fn numbers_follow_the_declaration_and_skip_the_reserved() {
    let of = User::message_type();
    let tags: Vec<_> = of.fields.iter().map(|field| (field.json_name, field.tag)).collect();
    let expected =
        [("id", 1), ("fullName", 3), ("tags", 4), ("friends", 5), ("best", 6), ("blob", 9)];
    assert_eq!(tags, expected);
    assert_eq!(Page::<User>::message_type().name, "Page_User");
}

#[arguments(crate = rpc_core)]
struct NoArguments {}

#[arguments(crate = rpc_core)]
struct OneMessage {
    page: Page<User>,
}

#[arguments(crate = rpc_core)]
struct OneNumber<T: Element> {
    the_number: T,
}

#[arguments(crate = rpc_core)]
struct Two {
    count: Option<u8>,
    user: User,
}

#[test]
fn one_message_argument_is_the_body_and_other_arguments_form_one() {
    let page = sample();
    let (mut alone, mut plain) = (bytes::BytesMut::new(), bytes::BytesMut::new());
    OneMessage { page: page.clone() }.encode_proto(&mut alone).unwrap();
    page.encode_proto(&mut plain).unwrap();
    assert_eq!(alone, plain);
    assert_eq!(proto(&OneMessage { page: page.clone() }).page, page);
    assert_eq!(OneMessage::message_type().name, "Page_User");
    assert_eq!(proto(&OneNumber { the_number: 5u16 }).the_number, 5);
    let two = proto(&Two { count: Some(0), user: User::default() });
    assert_eq!((two.count, two.user), (Some(0), User::default()));
    proto(&NoArguments {});
}

fn json<M: Message + Default>(text: &str) -> Result<M, String> {
    let mut message = M::default();
    let mut json = serde_json::Deserializer::from_str(text);
    let limits = &mut rpc_core::codec::Limits::default();
    let read = rpc_core::message::read_with_serde(&mut json, &mut message, limits);
    read.map_err(|error| error.to_string())?;
    Ok(message)
}

#[test]
fn argument_lists_read_names_and_positions_shorter_and_longer() {
    for text in [r#"[3,{"id":"7"}]"#, r#"{"user":{"id":7},"count":3}"#, r#"[3,{"id":7},9]"#] {
        let two: Two = json(text).unwrap();
        assert_eq!((two.count, two.user.id), (Some(3), 7), "{text}");
    }
    assert_eq!(json::<Two>("[3]").unwrap().count, Some(3));
    for text in ["[5]", r#"{"theNumber":5}"#, r#"{"the_number":5.0,"x":[{}]}"#, r#"["5"]"#] {
        assert_eq!(json::<OneNumber<u16>>(text).unwrap().the_number, 5, "{text}");
    }
    for text in [r#"{"type":4,"items":[]}"#, r#"[{"type":4}]"#, r#"[{"type":4},1,2]"#] {
        assert_eq!(json::<OneMessage>(text).unwrap().page.r#type, 4, "{text}");
    }
    for text in ["[]", "{}", "null", "[1]"] {
        json::<NoArguments>(text).unwrap();
    }
    assert!(json::<User>("[5]").unwrap_err().contains("a map with the fields of User"));
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq)]
enum Color {
    Red,
    DarkGreen = 5,
    Blue,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
enum Figure<T> {
    Nothing,
    Circle(f64),
    Rectangle { left_side: T, out: Option<Color>, all: Vec<T> },
    Group(Box<Page<User>>),
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
struct Picture {
    color: Color,
    figure: Figure<i64>,
    more: Vec<Figure<i64>>,
    colors: Vec<Color>,
}

#[test]
fn enums_survive_protobuf_and_json() {
    let rectangle = Figure::Rectangle { left_side: -3, out: Some(Color::Red), all: vec![1, 2] };
    let picture = Picture {
        color: Color::Blue,
        figure: rectangle.clone(),
        more: vec![
            Figure::Nothing,
            Figure::Circle(0.0),
            rectangle,
            Figure::Group(Box::new(sample())),
        ],
        colors: vec![Color::Red, Color::DarkGreen],
    };
    assert_eq!(proto(&picture), picture);
    let text = serde_json::to_string(&picture).unwrap();
    assert!(text.contains(r#""colors":["RED","DARK_GREEN"]"#), "{text}");
    assert!(
        text.contains(r#"{"rectangle":{"leftSide":"-3","out":"RED","all":["1","2"]}}"#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Picture>(&text).unwrap(), picture);
    let read: Picture = serde_json::from_str(
        r#"{"color":5,"colors":["Blue",6],"figure":{"nothing":null,"circle":1,"x":null}}"#,
    )
    .unwrap();
    assert_eq!(read.color, Color::DarkGreen);
    assert_eq!(read.colors, [Color::Blue, Color::Blue]);
    assert_eq!(read.figure, Figure::Circle(1.0));
}

#[error(crate = rpc_core)]
#[derive(Debug, Clone)]
enum ShopError {
    /// The shop is closed.
    Closed,
    #[rpc(code = "not_found", message = "no article {0}")]
    NoArticle(String),
    #[rpc(message = "only {left} of {sku}")]
    OutOfStock { sku: String, left: u32 },
    #[rpc(status)]
    Status(Status),
}

#[test]
fn a_business_error_comes_back_as_the_same_value() {
    let status = ShopError::OutOfStock { sku: "x".into(), left: 2 }.into_status();
    assert_eq!((status.code(), status.message()), (Code::FailedPrecondition, "only 2 of x"));
    let error = ShopError::from_status(status);
    assert!(matches!(error, ShopError::OutOfStock { sku, left: 2 } if sku == "x"));
    let status = ShopError::NoArticle("y".into()).into_status();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no article y"));
    assert!(matches!(status.into(), ShopError::NoArticle(name) if name == "y"));
    assert_eq!(ShopError::Closed.to_string(), "The shop is closed");
    let status = ShopError::Status(Status::internal("z")).into_status();
    assert!(status.details().is_none());
    assert!(matches!(status.into(), ShopError::Status(status) if status.message() == "z"));
}

mod newer {
    use dubhe_rpc_macros::error;
    use rpc_core::Status;

    #[error(crate = rpc_core)]
    #[derive(Debug)]
    pub enum ShopError {
        #[rpc(tag = 9)]
        OnFire,
        #[rpc(status)]
        Status(Status),
    }
}

#[test]
fn an_error_that_is_unknown_here_stays_the_status_it_came_in() {
    let status = newer::ShopError::OnFire.into_status();
    let error = ShopError::from_status(status);
    assert!(matches!(&error, ShopError::Status(status) if status.message() == "on fire"));
    assert!(error.into_status().details().is_some());

    let details = rpc_core::status::Details {
        type_name: "OtherError".into(),
        body: rpc_core::Body::typed(ShopError::Closed),
    };
    let status = Status::aborted("x").with_details(details);
    assert!(matches!(ShopError::from_status(status), ShopError::Status(_)));
}
