//! Fields that are renamed, moved, added, removed and replaced.

use std::fmt::Debug;

use dubhe::describe::{
    BodyForm, ChangeKind, Difference, Peers, ReadOutcome, RolloutOrder, Severity,
};
use rpc_core::message::Field;

use crate::harness::{convert, difference, said};

/// Whether some values are read as others, and whether some are refused.
fn is_harmed<W: Field, R: Field + PartialEq + Debug>(
    form: BodyForm,
    values: Vec<(W, R)>,
) -> (bool, bool) {
    let (mut is_silent, mut is_refused) = (false, false);
    for (written, meant) in values {
        match convert::<W, R>(written, form) {
            None => is_refused = true,
            Some(read) => is_silent |= read != meant,
        }
    }
    (is_silent, is_refused)
}

/// Fails unless what is said of a change is what happens. Values come with what the other version
/// should read.
#[track_caller]
fn agreed<Old, New>(old: Vec<(Old, New)>, new: Vec<(New, Old)>) -> Difference
where
    Old: Field + Clone + PartialEq + Debug,
    New: Field + Clone + PartialEq + Debug,
{
    let difference = difference::<Old, New>();
    for form in BodyForm::ALL {
        let happens = [
            (Peers::NewCallers, is_harmed(form, old.clone())),
            (Peers::OldCallers, is_harmed(form, new.clone())),
        ];
        for (peers, happens) in happens {
            let outcomes = said(&difference, peers, form);
            let is_silent =
                outcomes.contains(&ReadOutcome::Lost) || outcomes.contains(&ReadOutcome::Changed);
            let said = (is_silent, outcomes.contains(&ReadOutcome::Refused));
            assert_eq!(said, happens, "{form} {peers}: {outcomes:?} of\n{difference}");
        }
    }
    difference
}

/// What is found: place, kind and severity of each.
fn told(difference: &Difference) -> Vec<(&str, ChangeKind, Severity)> {
    let findings = difference.findings.iter();
    findings.map(|it| (it.place.as_str(), it.kind, it.severity)).collect()
}

/// Two versions of a message, by its fields.
macro_rules! versions {
    ($of:ident: ($($old:tt)*) => ($($new:tt)*)) => {
        mod $of {
            pub mod old {
                #[dubhe::message]
                #[derive(Debug, Clone, PartialEq)]
                pub struct Order { $($old)* }
            }

            pub mod new {
                #[dubhe::message]
                #[derive(Debug, Clone, PartialEq)]
                pub struct Order { $($new)* }
            }
        }
    };
}

versions!(renamed: (pub id: u64, pub note: String) => (pub id: u64, pub remark: String));

#[test]
fn a_new_name_loses_the_value_in_the_codecs_that_write_names() {
    use renamed::{new, old};
    let (note, remark) = ("x".to_owned(), "x".to_owned());
    let difference = agreed(
        vec![(old::Order { id: 1, note: note.clone() }, new::Order { id: 1, remark: note })],
        vec![(new::Order { id: 1, remark: remark.clone() }, old::Order { id: 1, note: remark })],
    );
    let expected = [("Order.note", ChangeKind::FieldRenamed, Severity::Breaking)];
    assert_eq!(told(&difference), expected);
    let finding = &difference.findings[0];
    assert_eq!(finding.change, "is called remark, was note");
    assert!(finding.remedy.starts_with("`#[rpc(name = \"note\")]` keeps the name"), "{finding}");
    assert_eq!(said(&difference, Peers::OldCallers, BodyForm::Protobuf), [].into());
    assert_eq!(said(&difference, Peers::OldCallers, BodyForm::Json), [ReadOutcome::Lost].into());
    // Who uses protobuf alone may do that.
    let protobuf = difference.clone().in_forms(&[BodyForm::Protobuf]);
    assert_eq!(protobuf.severity(), Severity::Compatible);
    assert_eq!(difference.in_forms(&[BodyForm::Msgpack]).severity(), Severity::Breaking);
}

versions!(kept: (pub id: u64, pub note: String) => (
    pub id: u64,
    #[rpc(name = "note")]
    pub remark: String,
));

#[test]
fn a_new_name_in_rust_alone_is_no_change() {
    use kept::{new, old};
    let note = "x".to_owned();
    let difference = agreed(
        vec![(old::Order { id: 1, note: note.clone() }, new::Order { id: 1, remark: note })],
        vec![],
    );
    assert_eq!(told(&difference), []);
    assert_eq!(difference.severity(), Severity::Compatible);
}

versions!(inserted: (pub id: u64, pub total: u64) => (pub id: u64, pub tip: u64, pub total: u64));

#[test]
fn a_field_in_the_middle_takes_the_values_of_those_behind_it_in_protobuf() {
    use inserted::{new, old};
    let difference = agreed(
        vec![(old::Order { id: 1, total: 2 }, new::Order { id: 1, tip: 0, total: 2 })],
        vec![(new::Order { id: 1, tip: 3, total: 2 }, old::Order { id: 1, total: 2 })],
    );
    let expected = [
        ("Order.total", ChangeKind::FieldRenumbered, Severity::Breaking),
        ("Order.tip", ChangeKind::FieldAdded, Severity::Breaking),
    ];
    assert_eq!(told(&difference), expected);
    let [total, tip] = &difference.findings[..] else { panic!("two") };
    assert_eq!(total.remedy, "`#[rpc(tag = 2)]` keeps the number");
    assert_eq!(tip.remedy, "give it a number of its own: 2 is that of total");
    assert_eq!(said(&difference, Peers::NewCallers, BodyForm::Json), [ReadOutcome::NotSent].into());
}

versions!(moved: (pub id: u64, pub note: String) => (
    #[rpc(tag = 2)]
    pub note: String,
    #[rpc(tag = 1)]
    pub id: u64,
));

#[test]
fn fields_that_keep_their_numbers_stand_where_they_like() {
    use moved::{new, old};
    let note = "x".to_owned();
    let difference = agreed(
        vec![(old::Order { id: 1, note: note.clone() }, new::Order { id: 1, note })],
        vec![],
    );
    assert_eq!(told(&difference), []);
}

versions!(swapped: (pub id: u64, pub note: String) => (pub note: String, pub id: u64));

#[test]
fn fields_that_swap_their_numbers_are_refused_in_protobuf() {
    use swapped::{new, old};
    let note = "x".to_owned();
    let difference = agreed(
        vec![(old::Order { id: 1, note: note.clone() }, new::Order { id: 1, note: note.clone() })],
        vec![(new::Order { id: 1, note: note.clone() }, old::Order { id: 1, note })],
    );
    assert_eq!(difference.severity(), Severity::Breaking);
    let protobuf = said(&difference, Peers::OldCallers, BodyForm::Protobuf);
    assert_eq!(protobuf, [ReadOutcome::Refused].into());
}

mod removed {
    pub mod old {
        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub struct Order {
            pub id: u64,
            pub note: String,
        }
    }

    pub mod new {
        #[dubhe::message(reserved(2))]
        #[derive(Debug, Clone, PartialEq)]
        pub struct Order {
            pub id: u64,
        }
    }
}

#[test]
fn a_field_that_has_gone_reads_as_the_default_so_its_readers_go_first() {
    use removed::{new, old};
    let gone = String::new();
    let difference = agreed(
        vec![(old::Order { id: 1, note: "x".to_owned() }, new::Order { id: 1 })],
        vec![(new::Order { id: 1 }, old::Order { id: 1, note: gone })],
    );
    assert_eq!(told(&difference), [("Order.note", ChangeKind::FieldRemoved, Severity::Risky)]);
    let finding = &difference.findings[0];
    assert_eq!(finding.order, Some(RolloutOrder::CallersFirst));
    assert_eq!(finding.remedy, "remove it when nobody reads it any more");
    // Back again, with the number that was reserved.
    let back = crate::harness::difference::<new::Order, old::Order>();
    assert_eq!(told(&back), [("Order.note", ChangeKind::ReservedNumber, Severity::Risky)]);
}

versions!(forgotten: (pub id: u64, pub note: String) => (pub id: u64));

#[test]
fn a_number_that_nobody_reserves_is_told() {
    use forgotten::{new, old};
    let difference = difference::<old::Order, new::Order>();
    let remedy = &difference.findings[0].remedy;
    assert!(remedy.ends_with("; `reserved(2)` keeps its number from others"), "{remedy}");
}

versions!(reused: (pub id: u64, pub note: String) => (pub id: u64, pub lines: Vec<u64>));

#[test]
fn a_field_with_the_number_of_one_that_has_gone_reads_its_bytes() {
    use reused::{new, old};
    // Four bytes that are four numbers, and one that is a part of one.
    let old_order = |note: &str| old::Order { id: 1, note: note.to_owned() };
    let new_order = |lines: &[u64]| new::Order { id: 1, lines: lines.to_vec() };
    let difference = agreed(
        vec![(old_order("abcd"), new_order(&[])), (old_order("\u{e9}\u{fffd}"), new_order(&[]))],
        vec![(new_order(&[97]), old_order("")), (new_order(&[200]), old_order(""))],
    );
    let expected = [
        // Of a result, old providers write the one and new ones the other.
        ("Order.note", ChangeKind::FieldRemoved, Severity::Risky),
        ("Order.lines", ChangeKind::FieldAdded, Severity::Breaking),
    ];
    assert_eq!(told(&difference), expected);
    let [note, lines] = &difference.findings[..] else { panic!("two") };
    assert!(note.change.ends_with("its number 2 is that of lines"), "{note}");
    assert_eq!(lines.remedy, "give it a number of its own: 2 is that of note");
    assert_eq!(
        said(&difference, Peers::OldCallers, BodyForm::Json),
        [ReadOutcome::NotSent, ReadOutcome::Skipped].into()
    );
}

versions!(renewed: (pub id: u64, pub note: String) => (
    pub id: u64,
    #[rpc(tag = 3)]
    pub note: Vec<String>,
));

#[test]
fn a_field_with_the_name_of_one_that_has_gone_is_read_by_name() {
    use renewed::{new, old};
    let difference = agreed(
        vec![(
            old::Order { id: 1, note: "x".to_owned() },
            new::Order { id: 1, note: vec!["x".to_owned()] },
        )],
        vec![(
            new::Order { id: 1, note: vec!["x".to_owned()] },
            old::Order { id: 1, note: "x".to_owned() },
        )],
    );
    assert_eq!(told(&difference), [("Order.note", ChangeKind::FieldType, Severity::Breaking)]);
    let change = &difference.findings[0].change;
    assert_eq!(change, "is repeated string, was string; has number 3, had 2");
}

versions!(added: (pub id: u64) => (pub id: u64, pub note: Option<String>, pub lines: Vec<u64>));

#[test]
fn new_fields_at_the_end_are_compatible() {
    use added::{new, old};
    let difference = agreed(
        vec![(old::Order { id: 1 }, new::Order { id: 1, note: None, lines: vec![] })],
        vec![(
            new::Order { id: 1, note: Some("x".to_owned()), lines: vec![1] },
            old::Order { id: 1 },
        )],
    );
    let expected = [
        ("Order.note", ChangeKind::FieldAdded, Severity::Compatible),
        ("Order.lines", ChangeKind::FieldAdded, Severity::Compatible),
    ];
    assert_eq!(told(&difference), expected);
}

versions!(spelled: (pub article_id: u64) => (#[rpc(name = "articleId")] pub article_id: u64));

#[test]
fn a_name_is_found_in_either_spelling() {
    use spelled::{new, old};
    agreed(
        vec![(old::Order { article_id: 1 }, new::Order { article_id: 1 })],
        vec![(new::Order { article_id: 1 }, old::Order { article_id: 1 })],
    );
}

mod nested {
    pub mod old {
        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub struct Line {
            pub sku: String,
        }

        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub struct Order {
            pub lines: Vec<Line>,
            pub inner: Option<Box<Self>>,
        }
    }

    pub mod new {
        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub struct Item {
            pub article: String,
        }

        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub struct Order {
            pub lines: Vec<Item>,
            pub inner: Option<Box<Self>>,
        }
    }
}

#[test]
fn types_are_followed_where_they_are_used_whatever_they_are_called() {
    use nested::{new, old};
    let old_order =
        |sku: &str| old::Order { lines: vec![old::Line { sku: sku.to_owned() }], inner: None };
    let new_order = |article: &str| new::Order {
        lines: vec![new::Item { article: article.to_owned() }],
        inner: None,
    };
    let difference =
        agreed(vec![(old_order("x"), new_order("x"))], vec![(new_order("x"), old_order("x"))]);
    let place = "Line (now Item).sku";
    assert_eq!(told(&difference), [(place, ChangeKind::FieldRenamed, Severity::Breaking)]);
    assert_eq!(difference.findings[0].methods, ["get"]);
}
