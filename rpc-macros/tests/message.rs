//! What `#[message]` makes of structs and enums, seen through the object-safe [`Message`].

use std::collections::BTreeMap;

use dubhe_rpc_macros::{arguments, message};
use rpc_core::message::{Describe, Element, Message};

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
    message.encode_proto(&mut bytes);
    assert_eq!(bytes.len(), message.proto_len());
    let mut read = M::default();
    read.merge_proto(bytes.freeze()).unwrap();
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
    OneMessage { page: page.clone() }.encode_proto(&mut alone);
    page.encode_proto(&mut plain);
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
    let read = message.merge_serde(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json));
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
