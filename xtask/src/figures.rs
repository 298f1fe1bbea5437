//! The figures of a page: rows that are read, compared with new ones, and replaced by them.

use std::fmt::Write as _;

/// The sides of a call.
pub(crate) const SIDES: [&str; 2] = ["client", "server"];

/// How much more than its figure a call may cost, and how much less is to be written down.
const TOLERANCE: f64 = 0.03;

/// One row of the page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    /// Side, codec and calls in flight.
    pub(crate) of: String,
    pub(crate) instructions: f64,
    pub(crate) allocations: f64,
    /// Percent of the instructions that copy memory.
    pub(crate) copying: f64,
    pub(crate) clock_reads: f64,
}

impl Figure {
    pub(crate) fn row(&self) -> String {
        let Self { of, instructions, allocations, copying, clock_reads } = self;
        format!("| {of} | {instructions} | {allocations:.2} | {copying:.1} % | {clock_reads:.2} |")
    }

    /// Reads a row of the page.
    pub(crate) fn parse(row: &str) -> Option<Self> {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [side, codec, in_flight, instructions, allocations, copying, clock_reads] = cells[..]
        else {
            return None;
        };
        SIDES.contains(&side).then_some(Self {
            of: name(side, codec, in_flight.parse().ok()?),
            instructions: instructions.parse().ok()?,
            allocations: allocations.parse().ok()?,
            copying: copying.trim_end_matches(" %").parse().ok()?,
            clock_reads: clock_reads.parse().ok()?,
        })
    }
}

/// What a row is of.
pub(crate) fn name(side: &str, codec: &str, in_flight: u64) -> String {
    format!("{side} | {codec} | {in_flight}")
}

/// Notes in `dearer` what grew by more than the tolerance, and tells what shrank.
pub(crate) fn compare(before: &Figure, now: &Figure, dearer: &mut String) {
    let pairs = [
        ("instructions", before.instructions, now.instructions),
        ("allocations", before.allocations, now.allocations),
    ];
    for (what, before, after) in pairs {
        let (of, change) = (now.of.replace(" | ", ", "), after - before);
        let percent = 100.0 * change / before.max(1.0);
        if change > TOLERANCE * before {
            let _ = writeln!(dearer, "  {of}: {after} {what}, not {before} ({percent:+.1} %)");
        } else if change < -TOLERANCE * before {
            eprintln!(
                "{of}: {after} {what} in place of {before} ({percent:+.1} %): lower the figure by \
                 `cargo xtask cost --write`, so that it stays so"
            );
        }
    }
}

/// The page with these rows in place of those it has.
pub(crate) fn rewritten(page: &str, figures: &[Figure]) -> String {
    let mut rows = figures.iter().map(Figure::row);
    let mut lines: Vec<String> = Vec::new();
    for line in page.lines() {
        lines.push(match Figure::parse(line).and_then(|_| rows.next()) {
            Some(row) => row,
            None => line.to_owned(),
        });
        // The page may have no rows yet.
        if line.starts_with("| --- ") && !page.lines().any(|line| Figure::parse(line).is_some()) {
            lines.extend(rows.by_ref());
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Cost\n\n| side | codec | in flight | instructions | allocations | copying \
        | clock reads |\n| --- | --- | --- | --- | --- | --- | --- |\n\
        | client | json | 1 | 1000 | 10.00 | 8.0 % | 4.00 |\n\nThe end.\n";

    fn figure(instructions: f64, allocations: f64) -> Figure {
        let of = name("client", "json", 1);
        Figure { of, instructions, allocations, copying: 8.0, clock_reads: 4.0 }
    }

    fn told(now: &Figure) -> String {
        let mut dearer = String::new();
        compare(&figure(1000.0, 10.0), now, &mut dearer);
        dearer
    }

    #[test]
    fn three_percent_more_are_taken_and_anything_above_is_not() {
        assert_eq!(told(&figure(1030.0, 10.29)), "");
        assert!(told(&figure(1031.0, 10.0)).contains("1031 instructions, not 1000 (+3.1 %)"));
        assert!(told(&figure(1000.0, 11.0)).contains("11 allocations, not 10 (+10.0 %)"));
        assert_eq!(told(&figure(500.0, 5.0)), "");
    }

    #[test]
    pub(crate) fn rows_are_replaced_and_the_words_around_them_stay() {
        assert_eq!(rewritten(PAGE, &[figure(1000.0, 10.0)]), PAGE);
        let lower = rewritten(PAGE, &[figure(900.0, 9.0)]);
        assert_eq!(lower, PAGE.replace("1000 | 10.00", "900 | 9.00"));
        let bare: String = PAGE.split_inclusive('\n').filter(|l| !l.contains("json")).collect();
        assert_eq!(rewritten(&bare, &[figure(1000.0, 10.0)]), PAGE);
    }
}
