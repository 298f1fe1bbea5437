//! Lists in lists, tuples, arrays and times as each other, and what changes within them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use dubhe::describe::{BodyForm, ChangeKind, Peers, ReadOutcome, Severity};
use rpc_core::message::{Field, Returned};

use crate::harness::{codec, convert, difference, said};
use crate::leaves::Point;

/// A type with values that show what becomes of them.
trait Sampled: Field + Clone {
    fn samples() -> Vec<Self>;
}

macro_rules! sampled {
    ($($ty:ty: [$($sample:expr),* $(,)?];)*) => {$(
        impl Sampled for $ty {
            fn samples() -> Vec<Self> {
                vec![$($sample),*]
            }
        }
    )*};
}

type Lists = Vec<Vec<u32>>;
type WideLists = Vec<Vec<u64>>;
type TextLists = Vec<Vec<String>>;
type Options = Vec<Option<u32>>;
type List = Vec<u32>;
type OptionalList = Option<Vec<u32>>;
type Two = [u32; 2];
type Three = [u32; 3];
type Pair = (u32, u32);
type MixedPair = (u32, String);
type Triple = (u32, u32, u32);
type OptionalPair = (u32, Option<u32>);
type Pairs = Vec<(u32, String)>;
type Twos = Vec<[u32; 2]>;
type MapOfLists = BTreeMap<String, Vec<u32>>;
type Map = BTreeMap<String, u32>;
type Maps = Vec<BTreeMap<String, u32>>;
type Spans = Vec<Duration>;
type OptionalSpan = Option<Duration>;
type Points = Vec<Point>;
type OptionalPoints = Vec<Option<Point>>;

type Blob = Vec<u8>;
type ThreeBytes = [u8; 3];
type FourBytes = [u8; 4];
type OptionalFourBytes = Option<[u8; 4]>;
type FourBytesLists = Vec<[u8; 4]>;
type ThreeBytesLists = Vec<[u8; 3]>;

const SPAN: Duration = Duration::from_millis(1500);

fn point() -> Point {
    Point { x: 5, y: "abc".to_owned() }
}

fn named<T>(value: T) -> BTreeMap<String, T> {
    BTreeMap::from([("a".to_owned(), value)])
}

sampled! {
    Lists: [vec![vec![1, 2], vec![]], vec![vec![u32::MAX], vec![3]]];
    WideLists: [vec![vec![1, 2], vec![3]], vec![vec![u64::MAX]]];
    TextLists: [vec![vec!["abc".to_owned()]]];
    Options: [vec![Some(1), None], vec![Some(1), Some(2)], vec![None]];
    List: [vec![1, 2], vec![1, 2, 3], vec![7]];
    OptionalList: [None, Some(vec![1, 2]), Some(vec![7])];
    Two: [[1, 2]];
    Three: [[1, 2, 3]];
    Pair: [(1, 2), (1, 0)];
    MixedPair: [(1, "abc".to_owned())];
    Triple: [(1, 2, 3)];
    OptionalPair: [(1, None), (1, Some(2))];
    Pairs: [vec![(1, "abc".to_owned()), (2, "def".to_owned())]];
    Twos: [vec![[1, 2], [3, 4]]];
    MapOfLists: [named(vec![1, 2]), named(vec![7])];
    Map: [named(3)];
    Maps: [vec![named(3), named(4)]];
    Duration: [SPAN];
    SystemTime: [SystemTime::UNIX_EPOCH + SPAN];
    Spans: [vec![SPAN, SPAN]];
    OptionalSpan: [None, Some(SPAN)];
    Points: [vec![point(), point()]];
    OptionalPoints: [vec![Some(point()), None], vec![Some(point())]];
    String: ["abc".to_owned()];
    u64: [7];
    Blob: [b"abc".to_vec(), b"abcd".to_vec()];
    ThreeBytes: [*b"abc"];
    FourBytes: [*b"abcd", [0; 4]];
    OptionalFourBytes: [None, Some(*b"abcd")];
    FourBytesLists: [vec![*b"abcd", *b"efgh"]];
    ThreeBytesLists: [vec![*b"abc", *b"efg"]];
}

/// A value whatever its type: as JSON, in which 64 bits differ from 32 by quotes alone.
fn shown<T: Field>(value: T) -> String {
    let mut bytes = BytesMut::new();
    codec(BodyForm::Json).encode(&Returned(value), &mut bytes).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap().replace('"', "")
}

/// The same without what says how many there may be: protobuf has one for a list of one.
fn values(shown: &str) -> String {
    ["[", "]", "null", "value:"].iter().fold(shown.to_owned(), |text, word| text.replace(word, ""))
}

/// What is read in place of values, and the same where a list of one is the one.
fn observed<W: Sampled, R: Field>(form: BodyForm) -> [BTreeSet<ReadOutcome>; 2] {
    let mut outcomes = [BTreeSet::new(), BTreeSet::new()];
    for written in W::samples() {
        let Some(read) = convert::<W, R>(written.clone(), form) else {
            outcomes.iter_mut().for_each(|of| _ = of.insert(ReadOutcome::Refused));
            continue;
        };
        let (written, read) = (shown(written), shown(read));
        if read != written {
            outcomes[0].insert(ReadOutcome::Changed);
        }
        // Zero is not written by protobuf, so it reads as the default of whatever it is.
        let has_zero = ["null", ",0]"].iter().any(|zero| written.contains(zero));
        if values(&read) != values(&written) && !has_zero {
            outcomes[1].insert(ReadOutcome::Changed);
        }
    }
    outcomes
}

fn agree<Old: Sampled, New: Sampled>(wrong: &mut Vec<String>) {
    let difference = difference::<Old, New>();
    let names = [std::any::type_name::<Old>(), std::any::type_name::<New>()];
    let is_left = difference.findings.iter().any(|it| it.kind == ChangeKind::NotCompared);
    if is_left || (names[0] == names[1]) != difference.findings.is_empty() {
        wrong.push(format!("{names:?}: {difference}"));
    }
    for form in BodyForm::ALL {
        for (peers, [happens, at_least]) in [
            (Peers::NewCallers, observed::<Old, New>(form)),
            (Peers::OldCallers, observed::<New, Old>(form)),
        ] {
            let said = said(&difference, peers, form).into_iter().map(|outcome| match outcome {
                ReadOutcome::Refused => ReadOutcome::Refused,
                _ => ReadOutcome::Changed,
            });
            let said: BTreeSet<ReadOutcome> = said.collect();
            if !at_least.is_subset(&said) || happens.is_empty() && !said.is_empty() {
                wrong.push(format!("{names:?} {form} {peers}: said {said:?}, is {happens:?}"));
            }
        }
    }
}

macro_rules! each_pair {
    ($wrong:ident: $($old:ident)*; $all:tt) => {$( each_pair!(@one $wrong $old $all); )*};
    (@one $wrong:ident $old:ident [$($new:ident)*]) => {$( agree::<$old, $new>(&mut $wrong); )*};
}

#[test]
fn of_what_is_nested_it_is_said_what_each_codec_reads_of_it() {
    let mut wrong = Vec::new();
    each_pair! {
        wrong:
        Lists WideLists TextLists Options List OptionalList Two Three Pair MixedPair Triple OptionalPair
        Pairs Twos MapOfLists Map Maps Duration SystemTime Spans OptionalSpan Points OptionalPoints;
        [
            Lists WideLists TextLists Options List OptionalList Two Three Pair MixedPair Triple
            OptionalPair Pairs Twos MapOfLists Map Maps Duration SystemTime Spans OptionalSpan Points
            OptionalPoints String u64
        ]
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn how_many_bytes_an_array_has_is_compared() {
    let mut wrong = Vec::new();
    each_pair! {
        wrong:
        Blob ThreeBytes FourBytes OptionalFourBytes FourBytesLists ThreeBytesLists;
        [Blob ThreeBytes FourBytes OptionalFourBytes FourBytesLists ThreeBytesLists]
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let said = difference::<ThreeBytes, FourBytes>().to_string();
    assert!(said.contains("is bytes[4], was bytes[3]"), "{said}");
}

mod old {
    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Item {
        pub amount: u32,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Slot {
        Morning,
        Evening,
    }
}

mod new {
    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Item {
        pub count: u32,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Slot {
        Morning,
        Noon,
    }
}

#[test]
fn a_message_that_is_nested_is_compared_where_it_is() {
    let places = |of: dubhe::describe::Difference| -> Vec<(String, Severity)> {
        of.findings.into_iter().map(|finding| (finding.place, finding.severity)).collect()
    };
    let renamed = vec![("Item.amount".to_owned(), Severity::Breaking)];
    assert_eq!(places(difference::<Vec<Option<old::Item>>, Vec<Option<new::Item>>>()), renamed);
    assert_eq!(places(difference::<(u32, old::Item), (u32, new::Item)>()), renamed);
    assert_eq!(places(difference::<[Vec<old::Item>; 2], [Vec<new::Item>; 2]>()), renamed);
    let both = places(difference::<Option<Vec<old::Item>>, Vec<new::Item>>());
    assert_eq!(both.len(), 2, "the field and the message: {both:?}");
}

#[test]
fn an_enum_by_which_a_map_is_is_compared() {
    let of = difference::<BTreeMap<old::Slot, u32>, BTreeMap<new::Slot, u32>>();
    let places: Vec<&str> = of.findings.iter().map(|finding| &*finding.place).collect();
    assert_eq!(places, ["Slot::Evening"], "{of}");
}
