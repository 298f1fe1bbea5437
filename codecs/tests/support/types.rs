//! Messages of the types that are more than protobuf's plain ones.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use rpc_macros::message;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Leaf;

/// Spans and points of time wherever a value may stand.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    pub wait: Duration,
    pub since: SystemTime,
    pub maybe_wait: Option<Duration>,
    pub maybe_since: Option<SystemTime>,
    pub waits: Vec<Duration>,
    pub points: Vec<SystemTime>,
    pub by_name: BTreeMap<String, SystemTime>,
    pub event: Event,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    At(SystemTime),
    Lasting { span: Duration },
}

pub fn after(seconds: u64, nanos: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
}

pub fn before(seconds: u64, nanos: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH - Duration::new(seconds, nanos)
}

pub fn times() -> Times {
    Times {
        wait: Duration::from_millis(1_500),
        since: after(1_709_208_000, 250_000_000),
        maybe_wait: Some(Duration::ZERO),
        maybe_since: Some(SystemTime::UNIX_EPOCH),
        waits: vec![Duration::from_nanos(1), Duration::ZERO, Duration::from_secs(315_576_000_000)],
        points: vec![
            before(0, 1_000),
            before(86_400, 0),
            before(62_135_596_800, 0),
            after(253_402_300_799, 999_000_000),
        ],
        by_name: BTreeMap::from([("k".to_owned(), after(0, 0))]),
        event: Event::Lasting { span: Duration::from_micros(5) },
    }
}

/// Lists, maps and options in each other.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Nested {
    pub maybe_list: Option<Vec<i32>>,
    pub maybe_map: Option<BTreeMap<String, u64>>,
    pub options: Vec<Option<u64>>,
    pub lists: Vec<Vec<i32>>,
    pub deep: Vec<Vec<Vec<Option<Leaf>>>>,
    pub lists_by_name: BTreeMap<String, Vec<Leaf>>,
    pub options_by_number: BTreeMap<u32, Option<String>>,
    pub maps_by_name: BTreeMap<String, BTreeMap<i64, bool>>,
    pub array: [f32; 3],
    pub arrays: Vec<[String; 2]>,
    pub id: [u8; 4],
    pub ids: Vec<[u8; 2]>,
    pub pair: (String, u32),
    pub pairs: Vec<(Option<i64>, Vec<Leaf>)>,
    pub maybe_pair: Option<(u8, bool)>,
    pub one_of: OneOfLists,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub enum OneOfLists {
    Nothing,
    Corner([i32; 2]),
    Rows { rows: Vec<Vec<u64>> },
}

pub fn nested() -> Nested {
    let leaf = Leaf { id: 1, display_name: "a".into() };
    Nested {
        maybe_list: Some(Vec::new()),
        maybe_map: Some([("k".to_owned(), 0)].into()),
        options: vec![Some(0), None, Some(7)],
        lists: vec![vec![1, -1], vec![], vec![0]],
        deep: vec![vec![], vec![vec![], vec![None, Some(leaf.clone()), Some(Leaf::default())]]],
        lists_by_name: [("a".to_owned(), vec![leaf.clone()]), ("b".to_owned(), vec![])].into(),
        options_by_number: [(0, None), (1, Some(String::new()))].into(),
        maps_by_name: [("a".to_owned(), [(-1, true), (0, false)].into())].into(),
        array: [0.0, 0.5, -1.0],
        arrays: vec![[String::new(), "x".into()]],
        id: [0, 0, 0, 255],
        ids: vec![[0, 0], [1, 2]],
        pair: ("x".into(), 5),
        pairs: vec![(None, vec![]), (Some(0), vec![leaf])],
        maybe_pair: Some((0, false)),
        one_of: OneOfLists::Rows { rows: vec![vec![], vec![3]] },
    }
}

/// What JSON has of it.
pub const NESTED: &str = concat!(
    r#"{"maybeList":[],"maybeMap":{"k":"0"},"options":["0",null,"7"],"lists":[[1,-1],[],[0]],"#,
    r#""deep":[[],[[],[null,{"id":"1","displayName":"a"},{"id":"0","displayName":""}]]],"#,
    r#""listsByName":{"a":[{"id":"1","displayName":"a"}],"b":[]},"#,
    r#""optionsByNumber":{"0":null,"1":""},"mapsByName":{"a":{"-1":true,"0":false}},"#,
    r#""array":[0.0,0.5,-1.0],"arrays":[["","x"]],"id":"AAAA/w==","ids":["AAA=","AQI="],"#,
    r#""pair":["x",5],"pairs":[[null,[]],["0",[{"id":"1","displayName":"a"}]]],"#,
    r#""maybePair":[0,false],"oneOf":{"rows":{"rows":[[],["3"]]}}}"#,
);

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sku(pub u64);

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub String);

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Tags(pub Vec<Name>);

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Root(pub Leaf);

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Same<T>(pub T);

#[message(crate = rpc_core)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Small(pub u8);

/// Variants that hold what is no single value, and newtypes of it.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Variants {
    pub of: Vec<OneOfMany>,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub enum OneOfMany {
    List(Vec<u32>),
    Lists(Vec<Vec<String>>),
    Map(BTreeMap<String, u64>),
    Leaves(Vec<Leaf>),
    Tags(Tags),
    Sku(Same<Sku>),
    Root(Root),
    Pair((String, Vec<u32>)),
    Bytes(Vec<u8>),
}

pub fn variants() -> Variants {
    let leaf = Leaf { id: 1, display_name: "a".into() };
    Variants {
        of: vec![
            OneOfMany::List(vec![]),
            OneOfMany::List(vec![1, 0, 300]),
            OneOfMany::Lists(vec![vec![], vec!["x".into()]]),
            OneOfMany::Map([("k".to_owned(), 0)].into()),
            OneOfMany::Map(BTreeMap::new()),
            OneOfMany::Leaves(vec![leaf.clone(), Leaf::default()]),
            OneOfMany::Tags(Tags(vec![Name("t".into()), Name(String::new())])),
            OneOfMany::Sku(Same(Sku(7))),
            OneOfMany::Root(Root(leaf)),
            OneOfMany::Pair(("x".into(), vec![5])),
            OneOfMany::Bytes(vec![1, 2]),
        ],
    }
}

/// What JSON has of it.
pub const VARIANTS: &str = concat!(
    r#"{"of":[{"list":[]},{"list":[1,0,300]},{"lists":[[],["x"]]},{"map":{"k":"0"}},{"map":{}},"#,
    r#"{"leaves":[{"id":"1","displayName":"a"},{"id":"0","displayName":""}]},{"tags":["t",""]},"#,
    r#"{"sku":"7"},{"root":{"id":"1","displayName":"a"}},{"pair":["x",[5]]},{"bytes":"AQI="}]}"#,
);

/// The same value as newtypes, and as what they hold.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Newtypes {
    pub sku: Sku,
    pub zero: Sku,
    pub maybe: Option<Sku>,
    pub skus: Vec<Sku>,
    pub by_sku: BTreeMap<Sku, Vec<Sku>>,
    pub by_name: BTreeMap<Name, Name>,
    pub tags: Tags,
    pub tag_lists: Vec<Tags>,
    pub maybe_tags: Option<Tags>,
    pub root: Root,
    pub roots: Vec<Same<Root>>,
    pub small: Vec<Small>,
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Plain {
    pub sku: u64,
    pub zero: u64,
    pub maybe: Option<u64>,
    pub skus: Vec<u64>,
    pub by_sku: BTreeMap<u64, Vec<u64>>,
    pub by_name: BTreeMap<String, String>,
    pub tags: Vec<String>,
    pub tag_lists: Vec<Vec<String>>,
    pub maybe_tags: Option<Vec<String>>,
    pub root: Leaf,
    pub roots: Vec<Leaf>,
    pub small: Vec<u32>,
}

pub fn newtypes() -> Newtypes {
    let name = |name: &str| Name(name.to_owned());
    let root = Root(Leaf { id: 1, display_name: "a".into() });
    Newtypes {
        sku: Sku(300),
        zero: Sku(0),
        maybe: Some(Sku(0)),
        skus: vec![Sku(1), Sku(0)],
        by_sku: [(Sku(7), vec![Sku(8)])].into(),
        by_name: [(name("k"), name("v"))].into(),
        tags: Tags(vec![name(""), name("b")]),
        tag_lists: vec![Tags(vec![]), Tags(vec![name("c")])],
        maybe_tags: Some(Tags(vec![])),
        root: root.clone(),
        roots: vec![Same(root)],
        small: vec![Small(3)],
    }
}

#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Color {
    Red,
    #[rpc(tag = 5)]
    DarkGreen,
    #[rpc(other)]
    Other(String),
}

/// Maps by the variants of an enum.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Keys {
    pub amounts: BTreeMap<Color, u32>,
    pub lists: HashMap<Color, Vec<Color>>,
}

pub fn keys() -> Keys {
    Keys {
        amounts: [(Color::Red, 1), (Color::DarkGreen, 2)].into(),
        lists: [(Color::DarkGreen, vec![Color::Red])].into(),
    }
}

/// Types of other crates.
#[message(crate = rpc_core)]
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign {
    pub id: Uuid,
    pub maybe_id: Option<Uuid>,
    pub ids: Vec<Uuid>,
    pub by_id: BTreeMap<Uuid, TimeDelta>,
    pub at: DateTime<Utc>,
    pub wait: TimeDelta,
    pub any: Value,
    pub maybe: Option<Value>,
    pub list: Vec<Value>,
}

pub fn foreign() -> Foreign {
    let id = Uuid::from_u128(0x67e5_5044_10b1_426f_9247_bb68_0e5f_e0c8);
    Foreign {
        id,
        maybe_id: Some(Uuid::nil()),
        ids: vec![Uuid::nil(), id],
        by_id: [(id, TimeDelta::nanoseconds(-1))].into(),
        at: DateTime::from_timestamp(-1, 500_000_000).unwrap(),
        wait: TimeDelta::milliseconds(-1_500),
        any: json!({ "a": [1, -2.5, "x", true, null, {}], "big": 5_000_000_000_u64 }),
        maybe: Some(json!([])),
        list: vec![Value::Null, json!(0.25), json!("")],
    }
}
