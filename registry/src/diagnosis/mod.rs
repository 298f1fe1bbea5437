//! Looks at a registry from this machine, step by step, for people who ask why something does not work.
//!
//! Each server is looked at alone, all at the same time: its name, its port, a session with it. Then one
//! session is opened as a consumer opens it, and what stands in the registry is looked at. A step whose
//! condition fails is skipped and says so. Every step has a deadline, and all of them together one that none
//! passes: whatever a registry does, it takes less than ten seconds.
//!
//! | file | what it looks at |
//! | --- | --- |
//! | `look.rs` | one registry, step by step |
//! | `reach.rs` | name and port of an address |
//! | `stranger.rs` | what speaks on a port, if it is not what was looked for |
//! | `clock.rs` | how far another clock is from ours |
//! | `http.rs` | a page of a server, whose head has the time |

mod clock;
#[cfg(any(feature = "etcd", feature = "nacos"))]
mod http;
mod look;
mod reach;
mod stranger;

use std::time::Duration;

pub(crate) use self::clock::ToldTime;
#[cfg(feature = "etcd")]
pub(crate) use self::http::Page;
#[cfg(any(feature = "etcd", feature = "nacos"))]
pub(crate) use self::http::page;
pub(crate) use self::look::diagnose;
pub use self::reach::reach;

/// A time that a step took.
pub(crate) fn show_ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}
