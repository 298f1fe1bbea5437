//! What `ServiceDescription::difference` says of a change is what happens: one version writes, the
//! other reads, in every codec and both directions.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]
#![allow(unreachable_pub, reason = "the modules of a test")]

#[path = "difference/bounds.rs"]
mod bounds;
#[path = "difference/harness.rs"]
mod harness;
#[path = "difference/leaves.rs"]
mod leaves;
#[path = "difference/messages.rs"]
mod messages;
#[path = "difference/nested.rs"]
mod nested;
#[path = "difference/services.rs"]
mod services;
#[path = "difference/values.rs"]
mod values;
#[path = "difference/variants.rs"]
mod variants;
