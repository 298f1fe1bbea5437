//! Registries that fail: every kind of registry under the same faults, each held to the same figures.
//!
//! The servers are real ones, started here: killed with SIGKILL, stopped with SIGSTOP, restarted, emptied,
//! their nodes removed and written by hand, and cut off from a provider by rules of nftables in a
//! namespace of this program's own.

mod cold;
mod cut;
mod garbage;
mod hand;
mod herd;
mod kind;
mod order;
mod outage;
mod run;
mod scene;
mod server;
mod stopped;
mod theirs;

use std::future::Future;
use std::pin::Pin;

pub(crate) use self::cut::enter_namespace;
pub(crate) use self::kind::Kind;
pub(crate) use self::run::run;
use self::server::Server;
use crate::BoxError;
use crate::report::Report;

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + 'a>>;

/// One scenario, for the kinds that can have it.
pub(crate) struct RegistryCheck {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    /// Whether every run of CI has it.
    pub(crate) is_quick: bool,
    is_for: fn(Kind) -> bool,
    run: for<'a> fn(&'a mut Report, &'a mut Server, bool) -> Running<'a>,
}

/// All of them, in the order they run.
pub(crate) const ALL: &[RegistryCheck] = &[
    RegistryCheck {
        name: "outage",
        what: "the registry is killed under load for long, and comes back on its data",
        is_quick: true,
        is_for: |_| true,
        run: |report, server, quick| Box::pin(outage::outage(report, server, quick)),
    },
    RegistryCheck {
        name: "cold-start",
        what: "a consumer starts while the registry is dead",
        is_quick: true,
        is_for: |_| true,
        run: |report, server, _| Box::pin(cold::cold_start(report, server)),
    },
    RegistryCheck {
        name: "deleted",
        what: "everything by which providers are listed is removed by hand",
        is_quick: true,
        is_for: |_| true,
        run: |report, server, quick| Box::pin(stopped::deleted(report, server, quick)),
    },
    RegistryCheck {
        name: "stopped",
        what: "the registry is stopped for longer than sessions last, and goes on",
        is_quick: true,
        is_for: |_| true,
        run: |report, server, quick| Box::pin(stopped::stopped(report, server, quick)),
    },
    RegistryCheck {
        name: "emptied",
        what: "the registry is killed and comes back without its data",
        is_quick: false,
        is_for: |_| true,
        run: |report, server, quick| Box::pin(outage::emptied(report, server, quick)),
    },
    RegistryCheck {
        name: "one-of-three",
        what: "one of three servers is killed and comes back",
        is_quick: false,
        is_for: Kind::is_ensemble,
        run: |report, server, quick| Box::pin(outage::one_of_three(report, server, quick)),
    },
    RegistryCheck {
        name: "restarts",
        what: "the registry is killed and restarted again and again",
        is_quick: false,
        is_for: |_| true,
        run: |report, server, quick| Box::pin(outage::restarts(report, server, quick)),
    },
    RegistryCheck {
        name: "garbage",
        what: "nodes, records and rules are broken, or answers are damaged on their way",
        is_quick: true,
        is_for: |_| true,
        run: |report, server, quick| Box::pin(garbage::garbage(report, server, quick)),
    },
    RegistryCheck {
        name: "cut-off",
        what: "one provider is cut off from the registry for longer than its session lasts",
        is_quick: false,
        is_for: |_| true,
        run: |report, server, quick| Box::pin(cut::cut_off(report, server, quick)),
    },
    RegistryCheck {
        name: "half-lost",
        what: "half of the providers are cut off from the registry, which keeps them",
        is_quick: false,
        is_for: |kind| matches!(kind, Kind::Embedded),
        run: |report, server, quick| Box::pin(cut::half_lost(report, server, quick)),
    },
    RegistryCheck {
        name: "herd",
        what: "five hundred consumers lose the registry and come back",
        is_quick: false,
        is_for: |_| true,
        run: |report, server, _| Box::pin(herd::herd(report, server)),
    },
    RegistryCheck {
        name: "order",
        what: "an entry changes ten thousand times while the registry is restarted",
        is_quick: false,
        is_for: |_| true,
        run: |report, server, quick| Box::pin(order::order(report, server, quick)),
    },
];
