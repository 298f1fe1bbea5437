//! Dubbo's layouts: how its registries write down who provides what, so that Java, Go and Rust find
//! each other in one server.
//!
//! A server is reached through [`NodeTree`] or through files of its own; what is written there, and
//! how it is read back, is decided here alone.

#![allow(dead_code, unused_imports, reason = "the registries that use it follow")]

mod layout;
mod session;
mod tree;

pub(crate) use self::layout::{Layout, RecordForm, RegisterMode};
pub(crate) use self::session::TreeSession;
pub(crate) use self::tree::{NodeTree, ReadOf, TreeNode};
