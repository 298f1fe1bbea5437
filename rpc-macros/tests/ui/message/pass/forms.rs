//! Every accepted form of a message and an error.
#![deny(warnings)]

use std::collections::{BTreeMap, HashMap};

use dubhe_rpc_macros::{error, message};
use rpc_core::Status;
use rpc_core::message::{Element, Message};

/// Documented, and derives what it likes, in any order.
#[message(crate = rpc_core, name = "Everything", reserved(2))]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Everything {
    /// Documented.
    pub r#type: u8,
    #[rpc(tag = 7, name = "renamed")]
    pub list: Vec<u8>,
    pub map: HashMap<String, Option1>,
    pub itself: Option<Box<Self>>,
    pub all: BTreeMap<i16, Box<Everything>>,
    pub nothing: (),
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Option1 {}

#[message(crate = rpc_core)]
pub struct Unit;

#[message(crate = rpc_core)]
pub struct Generic<T: Clone, const N: usize = 3>
where
    T: Element,
{
    pub items: Vec<T>,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Plain {
    #[default]
    First = 0,
    #[rpc(name = "ANOTHER_NAME")]
    Second = 5,
    Third,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(non_camel_case_types)]
pub enum Keeping {
    First,
    #[rpc(other)]
    Rest(i32),
    r#type,
    #[rpc(tag = 9)]
    Last,
}

#[message(crate = rpc_core)]
pub enum OtherFirst {
    #[rpc(other)]
    Unknown,
    #[rpc(name = "Second")]
    Second,
}

#[message(crate = rpc_core)]
pub enum OtherData<T> {
    Value(T),
    #[rpc(other, tag = 15, name = "rest")]
    Other,
}

#[message(crate = rpc_core)]
pub enum OnlyOne {
    One,
}

#[message(crate = rpc_core)]
pub enum Data<T> {
    Value(T),
    #[rpc(tag = 4)]
    Fields { out: u32, input: Option<T>, tag: Plain, wire: String, serializer: Vec<T>, name: bool },
    Nothing,
    Boxed(Box<Data<T>>),
}

#[message(crate = rpc_core)]
pub enum Sole {
    Fields { value: u32 },
}

#[error(crate = rpc_core)]
#[derive(Debug)]
pub enum Failure {
    /// Nothing there.
    Nothing,
    #[rpc(code = "not_found", message = "no {0:?} {{}}")]
    Missing(Plain),
    #[rpc(message = "always the same")]
    Said { f: u32, by: String },
    #[rpc(tag = 9, message = "{f} by {by}")]
    SaidBy { f: u32, by: String },
    #[rpc(status)]
    Framework(Status),
}

fn travels<T: Message + Element + Default + serde_like::Both>() {}

mod serde_like {
    use rpc_core::__private::serde::{Serialize, de::DeserializeOwned};

    pub trait Both: Serialize + DeserializeOwned {}
    impl<T: Serialize + DeserializeOwned> Both for T {}
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sku(pub u64);

#[message(crate = rpc_core)]
pub struct Held<T>(T);

#[message(crate = rpc_core)]
pub struct Lists(Vec<Option<Held<Sku>>>);

#[derive(Default)]
#[message(crate = rpc_core, own_default)]
pub struct Above {
    pub by_sku: HashMap<Sku, Vec<[String; 2]>>,
    pub by_variant: BTreeMap<Key, Option<(u8, Option<Sku>)>>,
    pub lists: Option<Lists>,
    pub since: Option<std::time::SystemTime>,
}

#[message(crate = rpc_core, own_default)]
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    Low,
    High,
}

impl Default for Key {
    fn default() -> Self {
        Self::High
    }
}

fn main() {
    travels::<Everything>();
    travels::<Unit>();
    travels::<Generic<String>>();
    travels::<Generic<Everything, 4>>();
    travels::<Data<Plain>>();
    travels::<Sole>();
    assert_eq!(Plain::default(), Plain::First);
    let failure = Failure::from(Status::internal("x"));
    assert!(matches!(failure, Failure::Framework(_)));
    assert_eq!(Failure::SaidBy { f: 1, by: "me".into() }.to_string(), "1 by me");
    assert_eq!(Failure::Missing(Plain::Third).to_string(), "no Third {}");
    assert_eq!(Failure::Said { f: 1, by: "me".into() }.to_string(), "always the same");
}
