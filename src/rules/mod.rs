//! Rules: what people order from outside while programs run, in the formats of Dubbo's config
//! centres.
//!
//! A rule is a text (`text.rs`) whose items have conditions (`conditions.rs`) and give orders
//! (`orders.rs`). There is one file for each format: `configurators.rs`, and for its older form
//! `override_url.rs`. `book.rs` keeps the last good rule of each key and says what follows from all of
//! them for a service; `followed.rs` brings the texts. None of these puts anything in force, or knows a
//! server.

mod book;
mod collected;
mod conditions;
mod configurators;
mod fields;
mod followed;
mod item;
mod misplaced;
mod orders;
mod override_url;
pub(crate) mod tell;
mod text;

pub(crate) use self::book::{Effects, InstanceOrder, RuleBook, RuleKey};
pub(crate) use self::collected::Configurators;
pub(crate) use self::conditions::host_of;
pub(crate) use self::followed::{Centres, FollowedRule, Hear};
pub(crate) use self::item::{Party, PartySide};
