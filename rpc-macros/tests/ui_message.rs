//! What `#[message]` and `#[error]` accept, and what people read when they do not.
//!
//! The expected messages belong to the pinned toolchain; write them anew with `TRYBUILD=overwrite`.

#[test]
fn a_misused_message_attribute_says_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/ui/message/fail/*.rs");
}

#[test]
fn every_accepted_form_of_a_message_compiles() {
    trybuild::TestCases::new().pass("tests/ui/message/pass/*.rs");
}
