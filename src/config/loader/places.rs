//! Places in a configuration file, found at once however large it is.

use super::origin::Origin;

/// Bytes between two counts of characters.
const BLOCK: usize = 256;

/// Knows the line and the column of each byte of a file.
#[derive(Debug)]
pub(super) struct Places<'a> {
    path: &'a str,
    text: &'a str,
    /// Where lines begin.
    lines: Vec<usize>,
    /// How many characters there are before each block.
    counts: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn of(path: &'a str, text: &'a str) -> Self {
        let newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let blocks = text.as_bytes().chunks(BLOCK).scan(0, |before, block| {
            *before += characters(block);
            Some(*before)
        });
        let (lines, counts) = ([0].into_iter().chain(newlines), [0].into_iter().chain(blocks));
        Self { path, text, lines: lines.collect(), counts: counts.collect() }
    }

    /// Where lines begin, in bytes.
    pub(super) fn lines(&self) -> &[usize] {
        &self.lines
    }

    /// The place of the byte at `offset`.
    pub(super) fn origin(&self, offset: usize) -> Origin {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        Origin::File {
            path: self.path.to_owned(),
            line,
            column: self.before(offset) - self.before(start) + 1,
        }
    }

    /// How many characters begin before the byte at `offset`.
    fn before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        self.counts[block] + characters(&self.text.as_bytes()[block * BLOCK..offset])
    }
}

/// How many characters begin in `bytes` of UTF-8.
fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_has_the_line_and_column_that_counting_gives() {
        for text in ["", "\n", "ä", "a\n\näö\u{1f600}b\n", &"é€x\n".repeat(99), &"é".repeat(300)]
        {
            let places = Places::of("f", text);
            let (mut line, mut column) = (1, 1);
            for (offset, c) in text.char_indices().chain([(text.len(), ' ')]) {
                assert_eq!(places.origin(offset).to_string(), format!("f:{line}:{column}"));
                (line, column) = if c == '\n' { (line + 1, 1) } else { (line, column + 1) };
            }
            assert_eq!(places.origin(text.len() + 9), places.origin(text.len()));
        }
    }
}
