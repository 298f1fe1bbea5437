//! Registries that fail: every kind of registry under the same faults, each held to the same figures.
//!
//! The servers are real ones, started here: killed with SIGKILL, stopped with SIGSTOP, restarted, emptied,
//! their nodes removed and written by hand, and cut off from a provider by rules of nftables in a
//! namespace of this program's own.

mod broken;
mod cold;
mod cut;
mod garbage;
mod hand;
mod herd;
mod kind;
mod network;
mod order;
mod outage;
mod progress;
mod run;
mod scene;
mod server;
mod serving;
mod stopped;
mod theirs;

use std::future::Future;
use std::pin::Pin;

pub(crate) use self::kind::Kind;
pub(crate) use self::network::enter_namespace;
pub(crate) use self::run::run;
use self::server::Server;
use crate::BoxError;
use crate::report::Report;

/// How many checks may keep a processor busy at a time.
const TURNS: u32 = 2;

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + 'a>>;

/// One scenario, for the kinds that can have it.
pub(crate) struct RegistryCheck {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Whether every run of CI has it.
    pub(crate) is_quick: bool,
    is_for: fn(Kind) -> bool,
    /// How many of [`TURNS`] it takes while it runs: those of one kind run beside those of others.
    turns: fn(Kind) -> u32,
    run: for<'a> fn(&'a mut Report, &'a mut Server, bool) -> Running<'a>,
}

/// All of them, in the order they run.
pub(crate) const ALL: &[RegistryCheck] = &[
    RegistryCheck {
        name: "outage",
        what: "the registry is killed under load for long, and comes back on its data",
        is_quick: true,
        is_for: |_| true,
        turns: |_| 0,
        run: |report, server, quick| Box::pin(outage::outage(report, server, quick)),
    },
    RegistryCheck {
        name: "cold-start",
        what: "a consumer starts while the registry is dead",
        is_quick: true,
        is_for: |_| true,
        turns: |_| 0,
        run: |report, server, _| Box::pin(cold::cold_start(report, server)),
    },
    RegistryCheck {
        name: "deleted",
        what: "everything by which providers are listed is removed by hand",
        is_quick: true,
        is_for: |_| true,
        turns: |_| 0,
        run: |report, server, _| Box::pin(stopped::deleted(report, server)),
    },
    RegistryCheck {
        name: "stopped",
        what: "the registry is stopped for longer than sessions last, and goes on",
        is_quick: true,
        is_for: |_| true,
        turns: |_| 0,
        run: |report, server, _| Box::pin(stopped::stopped(report, server)),
    },
    RegistryCheck {
        name: "emptied",
        what: "the registry is killed and comes back without its data",
        is_quick: false,
        is_for: |_| true,
        turns: |_| 0,
        run: |report, server, quick| Box::pin(outage::emptied(report, server, quick)),
    },
    RegistryCheck {
        name: "one-of-three",
        what: "one of three servers is killed and comes back",
        is_quick: false,
        is_for: Kind::is_ensemble,
        turns: |_| 0,
        run: |report, server, _| Box::pin(outage::one_of_three(report, server)),
    },
    RegistryCheck {
        name: "restarts",
        what: "the registry is killed and restarted again and again",
        is_quick: false,
        is_for: |_| true,
        turns: |kind| u32::from(kind.is_nacos()),
        run: |report, server, quick| Box::pin(outage::restarts(report, server, quick)),
    },
    RegistryCheck {
        name: "garbage",
        what: "nodes, records and rules are broken, or answers are damaged on their way",
        is_quick: true,
        is_for: |_| true,
        turns: |_| 1,
        run: |report, server, quick| Box::pin(garbage::garbage(report, server, quick)),
    },
    RegistryCheck {
        name: "cut-off",
        what: "one provider is cut off from the registry for longer than its session lasts",
        is_quick: false,
        is_for: |_| true,
        turns: |_| 0,
        run: |report, server, quick| Box::pin(cut::cut_off(report, server, quick)),
    },
    RegistryCheck {
        name: "half-lost",
        what: "half of the providers are cut off from the registry, which keeps them",
        is_quick: false,
        is_for: |kind| matches!(kind, Kind::Embedded),
        turns: |_| 0,
        run: |report, server, _| Box::pin(cut::half_lost(report, server)),
    },
    RegistryCheck {
        name: "herd",
        what: "five hundred consumers lose the registry and come back",
        is_quick: false,
        is_for: |_| true,
        turns: |_| TURNS,
        run: |report, server, _| Box::pin(herd::herd(report, server)),
    },
    RegistryCheck {
        name: "order",
        what: "an entry changes ten thousand times while the registry is restarted and connections break",
        is_quick: false,
        is_for: |_| true,
        turns: |_| 1,
        run: |report, server, quick| Box::pin(order::order(report, server, quick)),
    },
];
