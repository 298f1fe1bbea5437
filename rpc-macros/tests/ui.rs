//! What the attributes accept, and what people read when they do not.
//!
//! The expected messages belong to the pinned toolchain; write them anew with `TRYBUILD=overwrite`.

#[test]
fn a_misused_service_attribute_says_what_to_do() {
    trybuild::TestCases::new().compile_fail("tests/ui/service/fail/*.rs");
}

#[test]
fn every_accepted_form_of_a_service_compiles() {
    trybuild::TestCases::new().pass("tests/ui/service/pass/*.rs");
}
