//! Variants of enums, with data and without.

use std::collections::BTreeSet;

use dubhe::describe::{
    BodyForm, ChangeKind, Difference, Peers, ReadOutcome, RolloutOrder, Severity,
};

use crate::harness::{convert, difference, said};

/// What a variant is read as.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Read {
    Same,
    Other,
    Another,
}

/// Two versions of an enum. Variants of one name are the same; those under `=>` are, too.
macro_rules! enums {
    ($of:ident: { $($old:tt)* } => { $($new:tt)* }
        old [$($one:ident)*], new [$($two:ident)*] $(, $from:ident => $to:ident)?) => {
        mod $of {
            use super::*;

            pub mod old {
                #[dubhe::message]
                #[derive(Debug, Clone, Copy, PartialEq)]
                pub enum State { $($old)* }
            }

            pub mod new {
                #[dubhe::message]
                #[derive(Debug, Clone, Copy, PartialEq)]
                pub enum State { $($new)* }
            }

            fn is_same(old: old::State, new: new::State) -> bool {
                let is_renamed = false $(|| {
                    old == old::State::$from && new == new::State::$to
                })?;
                is_renamed || format!("{old:?}") == format!("{new:?}")
            }

            pub fn agreed() -> Difference {
                let difference = difference::<old::State, new::State>();
                for form in BodyForm::ALL {
                    let olds = [$(old::State::$one),*].map(|old| {
                        convert::<_, new::State>(old, form).map(|read| match read {
                            read if is_same(old, read) => Read::Same,
                            read if format!("{read:?}") == "Other" => Read::Other,
                            _ => Read::Another,
                        })
                    });
                    let news = [$(new::State::$two),*].map(|new| {
                        convert::<_, old::State>(new, form).map(|read| match read {
                            read if is_same(read, new) => Read::Same,
                            read if format!("{read:?}") == "Other" => Read::Other,
                            _ => Read::Another,
                        })
                    });
                    check(&difference, Peers::NewCallers, form, &olds);
                    check(&difference, Peers::OldCallers, form, &news);
                }
                difference
            }
        }
    };
}

#[track_caller]
fn check(difference: &Difference, peers: Peers, form: BodyForm, reads: &[Option<Read>]) {
    let outcomes = reads.iter().filter_map(|read| match read {
        Some(Read::Same) => None,
        Some(Read::Other) => Some(ReadOutcome::TakenAsOther),
        Some(Read::Another) => Some(ReadOutcome::Changed),
        None => Some(ReadOutcome::Refused),
    });
    let happens: BTreeSet<_> = outcomes.collect();
    let said = said(difference, peers, form).into_iter().map(|outcome| match outcome {
        ReadOutcome::Lost => ReadOutcome::Changed,
        outcome => outcome,
    });
    assert_eq!(said.collect::<BTreeSet<_>>(), happens, "{form} {peers} of\n{difference}");
}

fn told(difference: &Difference) -> Vec<(&str, ChangeKind, Severity)> {
    let findings = difference.findings.iter();
    findings.map(|it| (it.place.as_str(), it.kind, it.severity)).collect()
}

enums! {
    appended: { Open, Paid } => { Open, Paid, Shipped }
    old [Open Paid], new [Open Paid Shipped]
}

#[test]
fn a_new_variant_is_refused_by_readers_without_other_so_they_go_first() {
    let difference = appended::agreed();
    let expected = [("State::Shipped", ChangeKind::VariantAdded, Severity::Risky)];
    assert_eq!(told(&difference), expected);
    assert_eq!(difference.findings[0].order, Some(RolloutOrder::CallersFirst));
}

enums! {
    taken: { Open, Paid, #[rpc(other)] Other } => { Open, Paid, #[rpc(other)] Other, Shipped }
    old [Open Paid Other], new [Open Paid Other Shipped]
}

#[test]
fn a_new_variant_is_taken_by_other() {
    let difference = taken::agreed();
    let expected = [("State::Shipped", ChangeKind::VariantAdded, Severity::Compatible)];
    assert_eq!(told(&difference), expected);
}

enums! {
    inserted: { Open, Paid } => { Open, Held, Paid }
    old [Open Paid], new [Open Held Paid]
}

#[test]
fn a_variant_in_the_middle_makes_neighbours_of_those_behind_it() {
    let difference = inserted::agreed();
    let expected = [
        ("State::Paid", ChangeKind::VariantRenumbered, Severity::Breaking),
        ("State::Held", ChangeKind::VariantAdded, Severity::Risky),
    ];
    assert_eq!(told(&difference), expected);
    assert_eq!(difference.findings[0].remedy, "`= 1` keeps the number, wherever it stands");
}

enums! {
    renamed: { Open, Paid } => { Open, Settled }
    old [Open Paid], new [Open Settled], Paid => Settled
}

#[test]
fn a_variant_with_another_name_is_unknown_where_names_are_written() {
    let difference = renamed::agreed();
    let expected = [("State::Paid", ChangeKind::VariantRenamed, Severity::Breaking)];
    assert_eq!(told(&difference), expected);
    assert_eq!(difference.findings[0].remedy, "`#[rpc(name = \"PAID\")]` keeps the name");
}

enums! {
    renamed_under_other:
    { Open, Paid, #[rpc(other)] Other } => { Open, Settled, #[rpc(other)] Other }
    old [Open Paid Other], new [Open Settled Other], Paid => Settled
}

#[test]
fn a_variant_with_another_name_is_taken_as_other_silently() {
    let difference = renamed_under_other::agreed();
    let expected = [("State::Paid", ChangeKind::VariantRenamed, Severity::Breaking)];
    assert_eq!(told(&difference), expected);
}

enums! {
    kept: { Open, Paid } => { Open, #[rpc(name = "PAID")] Settled }
    old [Open Paid], new [Open Settled], Paid => Settled
}

#[test]
fn a_variant_that_keeps_its_name_on_the_wire_is_the_same() {
    assert_eq!(told(&kept::agreed()), []);
}

enums! {
    removed: { Open, Paid, Lost } => { Open, Paid }
    old [Open Paid Lost], new [Open Paid]
}

#[test]
fn a_variant_that_has_gone_is_refused_by_those_who_get_it_all_the_same() {
    let difference = removed::agreed();
    assert_eq!(told(&difference), [("State::Lost", ChangeKind::VariantRemoved, Severity::Risky)]);
    let finding = &difference.findings[0];
    assert_eq!(finding.order, Some(RolloutOrder::ProvidersFirst));
    assert!(finding.remedy.contains("`reserved(2)`"), "{finding}");
}

enums! {
    stricter: { Open, #[rpc(other)] Other } => { Open }
    old [Open Other], new [Open]
}

#[test]
fn an_enum_that_no_longer_takes_unknown_variants_is_told() {
    let difference = stricter::agreed();
    let expected = [
        ("State::Other", ChangeKind::VariantRemoved, Severity::Risky),
        ("State", ChangeKind::UnknownVariants, Severity::Risky),
    ];
    assert_eq!(told(&difference), expected);
    let laxer = difference_of_laxer();
    assert!(told(&laxer).contains(&("State", ChangeKind::UnknownVariants, Severity::Compatible)));
}

fn difference_of_laxer() -> Difference {
    difference::<stricter::new::State, stricter::old::State>()
}

/// Two versions of an enum with data, and values with what the other version should read.
mod payments {
    pub mod old {
        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Payment {
            Cash(u64),
            Voucher(String),
            Card { number: String },
        }
    }

    /// `Voucher` is called `Coupon` and `Card` holds more; `Crypto` is new.
    pub mod new {
        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Payment {
            Cash(u64),
            Coupon(String),
            Card { number: String, holder: String },
            Crypto,
        }
    }

    /// With a variant for what is unknown.
    pub mod lenient {
        #[dubhe::message]
        #[derive(Debug, Clone, PartialEq)]
        pub enum Payment {
            Cash(u64),
            #[rpc(other, tag = 9)]
            Other,
        }
    }
}

#[test]
fn variants_with_data_are_fields_that_are_not_skipped() {
    use payments::{new, old};
    let difference = difference::<old::Payment, new::Payment>();
    let expected = [
        ("Payment.voucher", ChangeKind::VariantRenamed, Severity::Breaking),
        ("Payment.crypto", ChangeKind::VariantAdded, Severity::Risky),
        ("PaymentCard.holder", ChangeKind::FieldAdded, Severity::Compatible),
    ];
    assert_eq!(told(&difference), expected);
    for form in BodyForm::ALL {
        let is_protobuf = form == BodyForm::Protobuf;
        let cash = convert::<_, new::Payment>(old::Payment::Cash(3), form);
        assert_eq!(cash, Some(new::Payment::Cash(3)));
        let card = convert(old::Payment::Card { number: "4".to_owned() }, form);
        let card_now = new::Payment::Card { number: "4".to_owned(), holder: String::new() };
        assert_eq!(card, Some(card_now));
        let voucher = convert::<_, new::Payment>(old::Payment::Voucher("x".to_owned()), form);
        assert_eq!(voucher.is_some(), is_protobuf);
        let refused = said(&difference, Peers::NewCallers, form).contains(&ReadOutcome::Refused);
        assert_eq!(refused, !is_protobuf);
        assert_eq!(convert::<_, old::Payment>(new::Payment::Crypto, form), None);
        assert!(said(&difference, Peers::OldCallers, form).contains(&ReadOutcome::Refused));
    }
}

#[test]
fn variants_with_data_that_are_unknown_are_taken_by_other() {
    use payments::{lenient, old};
    let difference = difference::<lenient::Payment, old::Payment>();
    for form in BodyForm::ALL {
        let taken = convert(old::Payment::Voucher("x".to_owned()), form);
        assert_eq!(taken, Some(lenient::Payment::Other));
        let outcomes = said(&difference, Peers::OldCallers, form);
        assert!(outcomes.contains(&ReadOutcome::TakenAsOther), "{outcomes:?}");
    }
    let told = told(&difference);
    assert!(told.contains(&("Payment.voucher", ChangeKind::VariantAdded, Severity::Compatible)));
    assert!(told.contains(&("Payment", ChangeKind::UnknownVariants, Severity::Risky)));
}

#[test]
fn an_enum_that_begins_to_hold_data_is_another_type() {
    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    struct Before {
        state: appended::old::State,
    }

    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    struct After {
        state: payments::old::Payment,
    }

    let difference = difference::<Before, After>();
    let [finding] = &difference.findings[..] else { panic!("{difference}") };
    assert_eq!((finding.kind, finding.severity), (ChangeKind::FieldType, Severity::Breaking));
    for form in BodyForm::ALL {
        let before = Before { state: appended::old::State::Paid };
        assert_eq!(convert::<_, After>(before, form), None);
        assert_eq!(said(&difference, Peers::NewCallers, form), [ReadOutcome::Refused].into());
    }
}

#[test]
fn a_struct_that_becomes_an_enum_is_told_as_a_whole() {
    #[dubhe::message]
    #[derive(Debug, Clone, PartialEq)]
    struct Payment {
        cash: u64,
        voucher: String,
    }

    let difference = difference::<Payment, payments::old::Payment>();
    let [finding] = &difference.findings[..] else { panic!("{difference}") };
    assert_eq!((finding.kind, finding.severity), (ChangeKind::MessageShape, Severity::Breaking));
    for form in BodyForm::ALL {
        let both = Payment { cash: 3, voucher: "x".to_owned() };
        // The last of both is all that an enum holds.
        let read = convert(both, form);
        assert_eq!(read, Some(payments::old::Payment::Voucher("x".to_owned())));
        assert!(said(&difference, Peers::NewCallers, form).contains(&ReadOutcome::Changed));
    }
}
