//! What a call costs in instructions and allocations, held against the figures in `docs/cost.md`.
//!
//! Instructions are counted, not timed: the same on a busy machine as on an idle one. Each figure is
//! the difference of two runs of `tests/cost` under callgrind, so that setting up counts nothing.

use std::collections::BTreeMap;
use std::fs;

use crate::callgrind::Profile;
use crate::figures::{Figure, SIDES, compare, name, rewritten};
use crate::process::{Failure, cargo, root, run};
use crate::valgrind::{self, is_allocation};

const PAGE: &str = "docs/cost.md";

const CODECS: [&str; 3] = ["protobuf", "msgpack", "json"];
const IN_FLIGHT: [u64; 2] = [1, 64];

/// Calls of the shorter run; the longer one makes twice as many.
const CALLS: u64 = 3200;

/// The far end of the connection, which belongs to no side of a call.
const FAR_END: &str = "dubhe_cost::wire::";

/// How many functions `--profile` shows.
const SHOWN: usize = 15;

/// Counts, and compares with the figures; `--write` puts new ones in their place, `--profile` shows
/// where the instructions of a side go.
pub(crate) fn check(arguments: &[String]) -> Result<(), Failure> {
    let (write, profile) = match arguments.iter().map(|word| &**word).collect::<Vec<_>>()[..] {
        [] => (false, None),
        ["--write"] => (true, None),
        ["--profile"] => (false, Some(("msgpack", 64))),
        ["--profile", codec] => (false, Some((codec, 64))),
        _ => return Err(Failure::new("usage: cargo xtask cost [--write | --profile [CODEC]]")),
    };
    if !valgrind::is_there("the cost of a call")? {
        return Ok(());
    }
    run(&mut cargo(["build", "--quiet", "--profile", "cost", "--package", "dubhe-cost"]))?;
    match profile {
        Some((codec, in_flight)) => {
            SIDES.iter().try_for_each(|side| show_profile(side, codec, in_flight))
        }
        None => judge(&measure_all()?, write),
    }
}

fn figure(of: String, profile: &Profile) -> Figure {
    let per_call = |count: u64| count as f64 / CALLS as f64;
    let own = profile.own.iter();
    let copying: u64 = own.filter(|(name, _)| is_copying(name)).map(|(_, cost)| cost).sum();
    Figure {
        of,
        instructions: per_call(profile.total).round(),
        allocations: per_call(profile.count(is_allocation)),
        copying: 100.0 * copying as f64 / profile.total.max(1) as f64,
        clock_reads: per_call(profile.count(|name| name.contains("clock::Clock::now"))),
    }
}

fn is_copying(function: &str) -> bool {
    ["memcpy", "memmove"].iter().any(|name| function.contains(name))
}

fn measure_all() -> Result<Vec<Figure>, Failure> {
    let mut figures = Vec::new();
    for side in SIDES {
        for codec in CODECS {
            for in_flight in IN_FLIGHT {
                let profile = measure(side, codec, in_flight)?;
                let figure = figure(name(side, codec, in_flight), &profile);
                eprintln!("{}", figure.row());
                figures.push(figure);
            }
        }
    }
    Ok(figures)
}

/// What [`CALLS`] calls cost this side.
fn measure(side: &str, codec: &str, in_flight: u64) -> Result<Profile, Failure> {
    let [shorter, longer] = [CALLS, 2 * CALLS].map(|calls| profile(side, codec, in_flight, calls));
    Ok(longer?.minus(&shorter?))
}

fn profile(side: &str, codec: &str, in_flight: u64, calls: u64) -> Result<Profile, Failure> {
    let arguments = [side, codec, &in_flight.to_string(), &calls.to_string()];
    let profile = valgrind::profile("dubhe-cost", &arguments)?;
    if profile.count(|name| name.contains(FAR_END)) == 0 {
        return Err(Failure::new(format!("no function of {FAR_END} is in the profile of {side}")));
    }
    Ok(profile.without(|name| name.contains(FAR_END)))
}

fn judge(figures: &[Figure], write: bool) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("{PAGE}: {error}"));
    let page = fs::read_to_string(root().join(PAGE)).map_err(failed)?;
    if write {
        return fs::write(root().join(PAGE), rewritten(&page, figures)).map_err(failed);
    }
    if !cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        eprintln!("the figures are those of x86_64 Linux: NOT compared with those of this machine");
        return Ok(());
    }
    let written: Vec<Figure> = page.lines().filter_map(Figure::parse).collect();
    let mut dearer = String::new();
    for figure in figures {
        let Some(before) = written.iter().find(|before| before.of == figure.of) else {
            let text =
                format!("no figure for `{}` in {PAGE}: run `cargo xtask cost --write`", figure.of);
            return Err(Failure::new(text));
        };
        compare(before, figure, &mut dearer);
    }
    if dearer.is_empty() {
        eprintln!("cost: {} figures hold", figures.len());
        return Ok(());
    }
    Err(Failure::new(format!(
        "a call costs more than {PAGE} says:\n{dearer}`cargo xtask cost --profile` shows where it \
         goes; if it is worth that, record it by `cargo xtask cost --write` and say why in the commit"
    )))
}

fn show_profile(side: &str, codec: &str, in_flight: u64) -> Result<(), Failure> {
    let profile = measure(side, codec, in_flight)?;
    let figure = figure(name(side, codec, in_flight), &profile);
    let mut functions: Vec<(&String, &u64)> = profile.own.iter().collect();
    functions.sort_by_key(|(_, cost)| std::cmp::Reverse(**cost));
    eprintln!("\n{}\ninstructions of a call, by function", figure.row());
    for (name, cost) in functions.into_iter().take(SHOWN) {
        let share = 100.0 * *cost as f64 / profile.total.max(1) as f64;
        eprintln!("{:>8.0} {share:>5.1} %  {name}", *cost as f64 / CALLS as f64);
    }
    show_callers("copies", &profile, is_copying);
    show_callers("allocations", &profile, is_allocation);
    show_callers("clock reads", &profile, |name| name.contains("time::instant::Instant::now"));
    Ok(())
}

/// Who calls the functions that `is` holds for, how often in a call, and what that costs.
fn show_callers(what: &str, profile: &Profile, is: impl Fn(&str) -> bool) {
    let mut callers: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for ((caller, _), (count, cost)) in profile.calls.iter().filter(|((_, to), _)| is(to)) {
        let sum = callers.entry(caller).or_default();
        *sum = (sum.0 + count, sum.1 + cost);
    }
    let mut callers: Vec<(&str, (u64, u64))> = callers.into_iter().collect();
    callers.retain(|(_, (count, _))| *count >= CALLS / 100);
    callers.sort_by_key(|(_, (_, cost))| std::cmp::Reverse(*cost));
    eprintln!("{what} of a call: instructions, times, by whom");
    for (caller, (count, cost)) in callers.into_iter().take(SHOWN) {
        let [cost, count] = [cost, count].map(|sum| sum as f64 / CALLS as f64);
        eprintln!("{cost:>8.0} {count:>5.2} x  {caller}");
    }
}
