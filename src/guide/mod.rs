//! Guides: one page for each thing that is done with Dubhe, beside the reference of its types.

#[doc = include_str!("../../docs/guide/observability.md")]
pub mod observability {}
