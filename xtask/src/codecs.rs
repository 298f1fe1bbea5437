//! What our codecs cost beside the plain crates of their formats, in instructions and allocations.

use std::fmt::Write as _;
use std::fs;

use crate::process::{Failure, cargo, root, run};
use crate::valgrind::{self, is_allocation};

const PAGE: &str = "docs/benchmarks.md";

/// The table stands between these.
const MARKS: [&str; 2] = ["<!-- codecs -->\n", "<!-- end of codecs -->"];

/// Each message, and how often it is written or read in the shorter run.
const CELLS: [(&str, &str, u64); 5] = [
    ("fields", "20 fields", 500),
    ("messages", "1,000 messages of 20 fields", 2),
    ("numbers", "100,000 `u64`", 2),
    ("map", "map of 1,000 texts", 10),
    ("bytes", "1 MiB of bytes", 4),
];
const CODECS: [&str; 3] = ["protobuf", "msgpack", "json"];
const DIRECTIONS: [&str; 2] = ["encode", "decode"];

/// How many times the plain crate's instructions a codec may cost.
const MOST: f64 = 1.1;

/// Instructions and allocations of writing or reading a message once.
#[derive(Debug, Clone, Copy)]
struct Cost {
    instructions: f64,
    allocations: f64,
}

impl Cost {
    /// Whether it is more than a codec may cost beside `plain`.
    fn is_dearer(self, plain: Self) -> bool {
        // Less than one allocation in a hundred rounds is none.
        self.instructions > plain.instructions * MOST || self.allocations > plain.allocations + 0.01
    }
}

/// Counts each cell, or those that are named, prints the table and fails where a codec costs too much; `--write` puts the
/// table into the page.
pub(crate) fn bench(arguments: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = arguments.iter().map(|word| &**word).collect();
    let write = words == ["--write"];
    let cells =
        CELLS.into_iter().filter(|(cell, ..)| write || words.is_empty() || words.contains(cell));
    if !write && words.iter().any(|word| CELLS.iter().all(|(cell, ..)| cell != word)) {
        let cells = CELLS.map(|(cell, ..)| cell).join("|");
        return Err(Failure::new(format!("usage: cargo xtask bench codecs [--write | {cells}…]")));
    }
    if !valgrind::is_there("what codecs cost")? {
        return Ok(());
    }
    run(&mut cargo(["build", "--quiet", "--profile", "cost", "--package", "dubhe-codec-cost"]))?;
    let mut table = String::from(
        "| message | codec | | plain | Dubhe | ratio | allocations, plain | Dubhe |\n\
         | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let mut dearer = String::new();
    for (cell, name, rounds) in cells {
        for codec in CODECS {
            for direction in DIRECTIONS {
                let cost = |whose| measure(whose, codec, cell, direction, rounds);
                let (plain, ours) = (cost("plain")?, cost("ours")?);
                let row = row(&format!("{name} | {codec} | {direction}"), plain, ours);
                eprint!("{row}");
                if ours.is_dearer(plain) {
                    dearer.push_str(&row);
                }
                table.push_str(&row);
            }
        }
    }
    if write {
        put(&table)?;
    }
    if dearer.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "dearer than {MOST} times the plain crate, or with more allocations:\n\
         {dearer}"
    )))
}

fn measure(
    whose: &str,
    codec: &str,
    cell: &str,
    direction: &str,
    rounds: u64,
) -> Result<Cost, Failure> {
    let profile = |rounds: u64| {
        let rounds = rounds.to_string();
        valgrind::profile("dubhe-codec-cost", &[whose, codec, cell, direction, &rounds])
    };
    let once = profile(2 * rounds)?.minus(&profile(rounds)?);
    Ok(Cost {
        instructions: once.total as f64 / rounds as f64,
        allocations: once.count(is_allocation) as f64 / rounds as f64,
    })
}

fn row(name: &str, plain: Cost, ours: Cost) -> String {
    let mut row = String::new();
    let ratio = ours.instructions / plain.instructions;
    // Writing to a string never fails.
    let _ = writeln!(
        row,
        "| {name} | {:.0} | {:.0} | {ratio:.2} | {:.0} | {:.0} |",
        plain.instructions, ours.instructions, plain.allocations, ours.allocations
    );
    row
}

/// Puts the table between its marks.
fn put(table: &str) -> Result<(), Failure> {
    let failed = |error| Failure::new(format!("{PAGE}: {error}"));
    let page = fs::read_to_string(root().join(PAGE)).map_err(failed)?;
    let parts = page.split_once(MARKS[0]).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(MARKS[1])?;
        Some(format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1]))
    });
    let page = parts.ok_or_else(|| Failure::new(format!("no place for the table in {PAGE}")))?;
    fs::write(root().join(PAGE), page).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_codec_may_cost_a_tenth_more_but_no_allocation() {
        let of = |instructions, allocations| Cost { instructions, allocations };
        for (plain, ours, is_dearer) in [
            (of(10_000.0, 2.0), of(11_000.0, 2.0), false),
            (of(10_000.0, 2.0), of(11_001.0, 2.0), true),
            (of(200.0, 0.0), of(220.0, 0.0), false),
            (of(200.0, 0.0), of(221.0, 0.0), true),
            (of(10_000.0, 2.0), of(3_000.0, 3.0), true),
        ] {
            assert_eq!(ours.is_dearer(plain), is_dearer, "{ours:?} beside {plain:?}");
        }
    }
}
