//! Descriptions that nobody has written: comparing them ends, and says what it left.

use dubhe::describe::{ChangeKind, Contract, Difference, Severity};
use serde_json::{Value, json};

fn field(number: usize, of: &Value) -> Value {
    let name = format!("f{number}");
    json!({ "name": name, "jsonName": name, "tag": number + 1, "label": "SINGLE", "value": of })
}

fn contract(messages: &Value, enums: &Value) -> Contract {
    let method = json!({ "name": "get", "arguments": "Arguments", "reply": "Reply" });
    let service =
        json!({ "service": "test.Get", "methods": [method], "messages": messages, "enums": enums });
    Contract::parse(&service.to_string()).unwrap()
}

fn compared(messages: &Value, enums: &Value, other: (&Value, &Value)) -> Difference {
    contract(messages, enums).difference(&contract(other.0, other.1))
}

#[track_caller]
fn is_left(difference: &Difference) {
    let Some(last) = difference.findings.last() else { panic!("nothing is told") };
    assert_eq!((last.kind, last.severity), (ChangeKind::NotCompared, Severity::Risky), "{last}");
    assert_eq!(last.place, "test.Get");
}

fn with_reply(fields: &[Value], further: &[Value]) -> Value {
    let mut messages =
        vec![json!({ "name": "Arguments" }), json!({ "name": "Reply", "fields": fields })];
    messages.extend_from_slice(further);
    messages.into()
}

#[test]
fn of_two_messages_with_too_many_fields_it_is_said_that_they_are_not_compared() {
    let many = |of: &str| -> Vec<Value> {
        (0..20_000).map(|at| field(at, &json!({ "kind": of }))).collect()
    };
    let [old, new] = ["UINT32", "STRING"].map(|of| with_reply(&many(of), &[]));
    is_left(&compared(&old, &json!([]), (&new, &json!([]))));
}

#[test]
fn of_two_enums_with_too_many_variants_it_is_said_that_they_are_not_compared() {
    let many = |word: &str| -> Vec<Value> {
        (0..20_000).map(|at| json!({ "name": format!("{word}{at}"), "number": 1 })).collect()
    };
    let messages = with_reply(&[field(0, &json!({ "kind": "ENUM", "name": "State" }))], &[]);
    let [old, new] = ["A", "B"].map(|word| json!([{ "name": "State", "values": many(word) }]));
    is_left(&compared(&messages, &old, (&messages, &new)));
}

#[test]
fn a_tuple_of_tuples_of_itself_is_left() {
    let nested = |kind: &str| json!({ "kind": kind, "name": "Endless" });
    let fields: Vec<Value> = (0..6).map(|at| field(at, &nested("TUPLE"))).collect();
    let endless = json!({ "name": "Endless", "fields": fields });
    let messages = with_reply(&[field(0, &nested("TUPLE"))], &[endless]);
    is_left(&compared(&messages, &json!([]), (&messages, &json!([]))));

    // One that nests in itself once is as deep as a value may be, soon.
    let endless = json!({ "name": "Endless", "fields": [field(0, &nested("NESTED"))] });
    let messages = with_reply(&[field(0, &nested("NESTED"))], &[endless]);
    let difference = compared(&messages, &json!([]), (&messages, &json!([])));
    let [finding] = &difference.findings[..] else { panic!("{difference}") };
    assert_eq!((finding.kind, &*finding.place), (ChangeKind::NotCompared, "Reply.f0"));
}

#[test]
fn a_name_of_a_megabyte_is_not_repeated_in_what_is_found() {
    let fields: Vec<Value> = (0..100).map(|at| field(at, &json!({ "kind": "UINT32" }))).collect();
    let messages = with_reply(&fields, &[json!({ "name": "x".repeat(1 << 20) })]);
    let difference = compared(&messages, &json!([]), (&with_reply(&[], &[]), &json!([])));
    is_left(&difference);
    assert!(difference.to_string().len() < 1000);
}

#[test]
fn a_contract_larger_than_people_write_is_compared_as_a_whole() {
    let of = |kind: &str| {
        let fields: Vec<Value> =
            (0..30).map(|at| field(at, &json!({ "kind": "UINT64" }))).collect();
        let last = field(30, &json!({ "kind": kind }));
        let types: Vec<Value> = (0..500)
            .map(|at| {
                let mut fields = fields.clone();
                fields.push(last.clone());
                json!({ "name": format!("Type{at}"), "fields": fields })
            })
            .collect();
        let uses: Vec<Value> = (0..500)
            .map(|at| field(at, &json!({ "kind": "MESSAGE", "name": format!("Type{at}") })))
            .collect();
        with_reply(&uses, &types)
    };
    let difference = compared(&of("UINT32"), &json!([]), (&of("UINT64"), &json!([])));
    assert_eq!(difference.findings.len(), 500);
    assert!(difference.findings.iter().all(|it| it.kind == ChangeKind::FieldType));
}
