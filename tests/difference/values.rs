//! Every type of single values as every other, under every label.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use dubhe::describe::{BodyForm, ChangeKind, Peers, ReadOutcome};
use rpc_core::message::Field;

use crate::harness::{convert, difference, said};
use crate::leaves::{Leaf, Lenient, Point, Shown, State};

fn observed<W: Leaf, R: Leaf>(form: BodyForm) -> BTreeSet<ReadOutcome> {
    let outcome = |written: W| {
        let shown = written.shown();
        match convert::<W, R>(written, form) {
            None => Some(ReadOutcome::Refused),
            Some(read) if shown.is(&read.shown()) => None,
            Some(read) if read.is_other() => Some(ReadOutcome::TakenAsOther),
            Some(read) if read == R::default() => Some(ReadOutcome::Lost),
            Some(_) => Some(ReadOutcome::Changed),
        }
    };
    W::samples().into_iter().filter_map(outcome).collect()
}

fn agree<Old: Leaf, New: Leaf>(wrong: &mut Vec<String>) {
    let difference = difference::<Old, New>();
    let name = |ty: &'static str| ty.rsplit("::").next().unwrap();
    let names = [std::any::type_name::<Old>(), std::any::type_name::<New>()].map(name);
    for form in BodyForm::ALL {
        for (peers, happens) in [
            (Peers::NewCallers, observed::<Old, New>(form)),
            (Peers::OldCallers, observed::<New, Old>(form)),
        ] {
            let said = said(&difference, peers, form);
            if said != happens {
                wrong.push(format!("{names:?} {form} {peers}: said {said:?}, is {happens:?}"));
            }
        }
    }
}

macro_rules! each_pair {
    ($wrong:ident: $($old:ident)*; $all:tt) => {$( each_pair!(@one $wrong $old $all); )*};
    (@one $wrong:ident $old:ident [$($new:ident)*]) => {$( agree::<$old, $new>(&mut $wrong); )*};
}

type ByteVec = Vec<u8>;

#[test]
fn of_every_type_that_becomes_another_it_is_said_what_each_codec_reads() {
    let mut wrong = Vec::new();
    each_pair! {
        wrong: bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 String ByteVec;
        [bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 String ByteVec State Lenient]
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// A message whose one field is a value under a label.
trait Labelled: Field + Default + Clone + PartialEq + Debug {
    const IS_OPTIONAL: bool = false;
    fn samples() -> Vec<Self>;
    /// Its values, each with its key.
    fn values(&self) -> Vec<(String, Shown)>;
}

macro_rules! labelled {
    ($($leaf:ty: $single:ident $optional:ident $list:ident $map:ident;)*) => {$(
        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub struct $single {
            value: $leaf,
        }

        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub struct $optional {
            value: Option<$leaf>,
        }

        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub struct $list {
            value: Vec<$leaf>,
        }

        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub struct $map {
            value: BTreeMap<String, $leaf>,
        }

        impl Labelled for $single {
            fn samples() -> Vec<Self> {
                let samples = <$leaf as Leaf>::samples().into_iter();
                samples.chain([Default::default()]).map(|value| Self { value }).collect()
            }

            fn values(&self) -> Vec<(String, Shown)> {
                vec![(String::new(), self.value.shown())]
            }
        }

        impl Labelled for $optional {
            const IS_OPTIONAL: bool = true;

            fn samples() -> Vec<Self> {
                let samples = <$leaf as Leaf>::samples().into_iter().map(Some);
                samples.chain([None]).map(|value| Self { value }).collect()
            }

            fn values(&self) -> Vec<(String, Shown)> {
                self.value.iter().map(|value| (String::new(), value.shown())).collect()
            }
        }

        impl Labelled for $list {
            fn samples() -> Vec<Self> {
                let samples = <$leaf as Leaf>::samples();
                let one = samples.first().cloned().into_iter().collect();
                let many = samples.iter().chain(&samples).cloned().collect();
                [one, many].map(|value| Self { value }).into()
            }

            fn values(&self) -> Vec<(String, Shown)> {
                self.value.iter().map(|value| (String::new(), value.shown())).collect()
            }
        }

        impl Labelled for $map {
            fn samples() -> Vec<Self> {
                let samples = <$leaf as Leaf>::samples().into_iter().enumerate();
                let value = samples.map(|(at, value)| (format!("k{at}"), value)).collect();
                vec![Self { value }]
            }

            fn values(&self) -> Vec<(String, Shown)> {
                self.value.iter().map(|(key, value)| (key.clone(), value.shown())).collect()
            }
        }
    )*};
}

labelled! {
    u32: OneU32 OptionalU32 ManyU32 NamedU32;
    f64: OneF64 OptionalF64 ManyF64 NamedF64;
    String: OneText OptionalText ManyTexts NamedTexts;
    Vec<u8>: OneBytes OptionalBytes ManyBytes NamedBytes;
    Point: OnePoint OptionalPoint ManyPoints NamedPoints;
}

/// Whether every value that was written was read, whatever stands around it.
fn has_all<W: Labelled, R: Labelled>(written: &W, read: &R) -> bool {
    let (written, read) = (written.values(), read.values());
    written.len() == read.len()
        && written
            .iter()
            .zip(&read)
            .all(|((key, value), (other_key, other))| key == other_key && value.is(other))
}

fn observed_under<W: Labelled, R: Labelled>(form: BodyForm) -> BTreeSet<ReadOutcome> {
    let outcome = |written: W| match convert::<W, R>(written.clone(), form) {
        None => Some(ReadOutcome::Refused),
        Some(read) if has_all(&written, &read) => None,
        Some(_) if written.values().is_empty() => Some(ReadOutcome::NoneAsDefault),
        // Zero is not written by protobuf, so it reads as the default of whatever it is.
        Some(read) if written == W::default() && read == R::default() => {
            R::IS_OPTIONAL.then_some(ReadOutcome::DefaultAsNone)
        }
        Some(_) => Some(ReadOutcome::Changed),
    };
    W::samples().into_iter().filter_map(outcome).collect()
}

fn agree_under<Old: Labelled, New: Labelled>(wrong: &mut Vec<String>) {
    let difference = difference::<Old, New>();
    let names = [std::any::type_name::<Old>(), std::any::type_name::<New>()];
    for form in BodyForm::ALL {
        for (peers, happens) in [
            (Peers::NewCallers, observed_under::<Old, New>(form)),
            (Peers::OldCallers, observed_under::<New, Old>(form)),
        ] {
            let mut said = said(&difference, peers, form);
            // Whether what is read of other bytes is the default is their chance.
            if said.remove(&ReadOutcome::Lost) {
                said.insert(ReadOutcome::Changed);
            }
            if !happens.is_subset(&said) || happens.is_empty() != said.is_empty() {
                wrong.push(format!("{names:?} {form} {peers}: said {said:?}, is {happens:?}"));
            }
        }
    }
}

macro_rules! each_labelled {
    ($wrong:ident: $($old:ident)*; $all:tt) => {$( each_labelled!(@one $wrong $old $all); )*};
    (@one $wrong:ident $old:ident [$($new:ident)*]) => {$(
        agree_under::<$old, $new>(&mut $wrong);
    )*};
}

#[test]
fn of_every_label_that_becomes_another_it_is_said_whether_values_arrive() {
    let mut wrong = Vec::new();
    each_labelled! {
        wrong:
        OneU32 OptionalU32 ManyU32 NamedU32 OneF64 OptionalF64 ManyF64 NamedF64
        OneText OptionalText ManyTexts NamedTexts OneBytes OptionalBytes ManyBytes NamedBytes
        OnePoint OptionalPoint ManyPoints NamedPoints;
        [
            OneU32 OptionalU32 ManyU32 NamedU32 OneF64 OptionalF64 ManyF64 NamedF64
            OneText OptionalText ManyTexts NamedTexts OneBytes OptionalBytes ManyBytes NamedBytes
            OnePoint OptionalPoint ManyPoints NamedPoints
        ]
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! keys {
    ($wrong:ident: $($old:ty => $new:ty, [$($key:expr),*];)*) => {$({
        let difference = difference::<BTreeMap<$old, u32>, BTreeMap<$new, u32>>();
        for form in BodyForm::ALL {
            let mut happens = BTreeSet::new();
            for key in [$($key),*] {
                let key: $old = key;
                let written = BTreeMap::from([(key.clone(), 3_u32)]);
                let text = key.to_string();
                match convert::<_, BTreeMap<$new, u32>>(written, form) {
                    None => _ = happens.insert(ReadOutcome::Refused),
                    Some(read) => {
                        let found = read.keys().next().unwrap().to_string();
                        let is_same = found == text || (text == "true" && found == "1");
                        if !is_same {
                            happens.insert(ReadOutcome::Changed);
                        }
                    }
                }
            }
            let mut said = said(&difference, Peers::NewCallers, form);
            if said.remove(&ReadOutcome::Lost) {
                said.insert(ReadOutcome::Changed);
            }
            if said != happens {
                let names = [stringify!($old), stringify!($new)];
                $wrong.push(format!("{names:?} {form}: said {said:?}, is {happens:?}"));
            }
        }
    })*};
}

#[test]
fn of_keys_of_another_type_it_is_said_what_each_codec_reads() {
    let mut wrong = Vec::new();
    keys! {
        wrong:
        u32 => u64, [1, u32::MAX];
        u64 => u32, [1, u64::MAX];
        u64 => u8, [1, 300, 1 << 32, (1 << 32) + 1];
        i32 => u32, [1, -1];
        u32 => String, [1, 12];
        u64 => String, [1, 12];
        String => u32, ["12".to_owned(), "abc".to_owned()];
        bool => u32, [true];
        u32 => bool, [1, 2];
        bool => String, [true];
        String => bool, ["12".to_owned(), "abc".to_owned()];
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_type_that_is_the_same_is_no_change() {
    assert!(difference::<u32, u32>().findings.is_empty());
    assert!(difference::<Option<Point>, Option<Point>>().findings.is_empty());
    let narrow = difference::<u16, u8>();
    let [finding] = &narrow.findings[..] else { panic!("{narrow}") };
    assert_eq!((finding.place.as_str(), finding.kind), ("result", ChangeKind::FieldType));
    assert_eq!(finding.change, "is uint8, was uint16");
}
