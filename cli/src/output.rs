//! How results are printed: tables for people, JSON for programs. A reader that goes away, as
//! `| head` does, is no error.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::failure::Failure;

/// Prints a text for people.
pub(crate) fn text(text: impl fmt::Display) -> Result<(), Failure> {
    raw(plain(&text.to_string()))
}

/// Prints a text of this program's own as it is.
pub(crate) fn raw(text: impl fmt::Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")?;
    Ok(out.flush()?)
}

/// Prints a text for people that is no result, to standard error.
pub(crate) fn aside(what: &str, text: &str) -> Result<(), Failure> {
    Ok(writeln!(io::stderr().lock(), "{what}: {}", plain(text))?)
}

/// Prints a JSON document.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    json_text(&(serde_json::to_string_pretty(value).map_err(io::Error::from)? + "\n"))
}

/// Prints the text of a JSON document.
pub(crate) fn json_text(printed: &str) -> Result<(), Failure> {
    let mut text = String::new();
    for c in printed.chars() {
        match c {
            // JSON need not escape them, and they stand in its texts only; people read it too.
            '\u{7f}'..='\u{9f}' => text += &format!("\\u{:04x}", u32::from(c)),
            c => text.push(c),
        }
    }
    raw(text)
}

/// The text with a space for every control character but the newline: what others wrote must not
/// move the cursor, rename the window or hide what stands around it.
pub(crate) fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', " ")
}

/// Rows under a head, in columns as wide as their widest cell.
#[derive(Debug)]
pub(crate) struct TextTable {
    rows: Vec<Vec<String>>,
}

impl TextTable {
    /// A table of these columns.
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { rows: vec![head.iter().map(|name| name.to_uppercase()).collect()] }
    }

    /// Adds a row; an empty cell is shown as a dash.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        // Nor must it break the line.
        let clean = |cell: String| plain(&cell).replace('\n', " ");
        let shown = |cell: String| if cell.is_empty() { "-".to_owned() } else { clean(cell) };
        self.rows.push(cells.into_iter().map(shown).collect());
    }
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |cell: &String| cell.chars().count();
        let columns = self.rows.first().map_or(0, Vec::len);
        let widest = |column: usize| self.rows.iter().map(|row| width(&row[column])).max();
        let widths: Vec<usize> = (0..columns).filter_map(widest).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line += &format!("{cell:<width$}  ");
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `1.25 ms`
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

/// Milliseconds for programs, to the microsecond.
pub(crate) fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// How long ago this time in milliseconds since 1970 was; `None` for 0, which stands for an unknown one.
pub(crate) fn since(started_ms: u64) -> Option<Duration> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    (started_ms > 0).then(|| now.saturating_sub(Duration::from_millis(started_ms)))
}

/// `3d 4h`, `5m 2s`: the two largest units.
pub(crate) fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [("d", seconds / 86_400), ("h", seconds / 3600 % 24), ("m", seconds / 60 % 60)];
    let mut shown: Vec<String> = units
        .into_iter()
        .chain([("s", seconds % 60)])
        .skip_while(|(_, amount)| *amount == 0)
        .take(2)
        .map(|(unit, amount)| format!("{amount}{unit}"))
        .collect();
    if shown.is_empty() {
        shown.push("0s".to_owned());
    }
    shown.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = TextTable::new(["a", "long head"]);
        table.row(["wide\ncell".to_owned(), String::new()]);
        table.row(["é".to_owned(), "x".to_owned()]);
        assert_eq!(table.to_string(), "A          LONG HEAD\nwide cell  -\né          x\n");
    }

    #[test]
    fn what_controls_a_terminal_is_not_printed() {
        let evil = "a\u{1b}[2J\u{9b}1m\r\u{7}\u{7f}b\nc";
        assert_eq!(plain(evil), "a [2J 1m   b\nc");
    }

    #[test]
    fn an_age_shows_its_two_largest_units() {
        let shown = [0, 59, 3600, 90_061].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(shown, ["0s", "59s", "1h 0m", "1d 1h"]);
    }
}
