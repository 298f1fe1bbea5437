//! JSON being read, token by token.
//!
//! The body is checked for UTF-8 once; from then on a position in the text is all the state there
//! is. Strings without escapes and numbers are slices of the body, so reading one allocates nothing
//! until a field takes it. Errors name the byte at which they occurred.

use std::borrow::Cow;
use std::fmt;

use rpc_core::message::{Problem, Read, ReadScope, TooDeep, json_mapping};

use super::scan;

/// What [`ReadScope::aux`] says is open.
pub(super) mod open {
    /// `null` in place of a record, list or map, or nothing any more.
    pub(in super::super) const NOTHING: u64 = 0;
    /// Nothing of it was read yet.
    pub(in super::super) const FIRST: u64 = 1;
    /// A comma stands before what comes.
    pub(in super::super) const LATER: u64 = 2;
}

/// The text, and how much of it was read.
#[derive(Debug)]
pub(super) struct JsonCursor<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> JsonCursor<'a> {
    /// The whole body is looked through once, so that its parts need not be.
    pub(super) fn new(body: &'a [u8]) -> Read<Self> {
        let text = std::str::from_utf8(body).map_err(|error| {
            Problem::new(format_args!("the body is not UTF-8 at byte {}", error.valid_up_to()))
        })?;
        Ok(Self { text, at: 0 })
    }

    /// The message must be all there is.
    pub(super) fn end(&mut self) -> Read {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.problem("something follows the message")),
        }
    }

    #[cold]
    pub(super) fn problem(&self, what: impl fmt::Display) -> Problem {
        Problem::new(format_args!("{what} at byte {}", self.at))
    }

    /// The problem of another value than `expected`, which it shows as far as it is short.
    #[cold]
    pub(super) fn unexpected(&mut self, expected: impl fmt::Display) -> Problem {
        let Some(byte) = self.peek() else { return self.cut_short() };
        let found = match byte {
            b'{' => Cow::Borrowed("a map"),
            b'[' => Cow::Borrowed("an array"),
            b'"' => {
                let end = scan::plain_end(self.body(), self.at + 1);
                let text = self.text.get(self.at..end).unwrap_or_default();
                Cow::Owned(format!("{text}\""))
            }
            _ => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                let end = rest.find([' ', '\n', '\r', '\t', ',', ':', ']', '}', '"']);
                Cow::Borrowed(&rest[..end.unwrap_or(rest.len()).max(1).min(rest.len())])
            }
        };
        let problem = Problem::unexpected(expected, &found);
        self.problem(problem)
    }

    #[cold]
    pub(super) fn cut_short(&self) -> Problem {
        self.problem("the text ends inside a value")
    }

    #[inline]
    pub(super) fn body(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    /// The next byte that is no blank; passes over those before it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        match self.body().get(self.at) {
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.pass_blanks(),
        }
    }

    pub(super) fn pass_blanks(&mut self) -> Option<u8> {
        while let Some(byte) = self.body().get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    pub(super) fn word(&mut self, word: &str) -> Read {
        if self.body().get(self.at..).is_some_and(|rest| rest.starts_with(word.as_bytes())) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.unexpected(word))
    }

    /// The string that begins here, which is borrowed unless something in it is escaped.
    #[inline]
    pub(super) fn quoted(&mut self) -> Read<Cow<'a, str>> {
        let start = self.at + 1;
        let end = scan::plain_end(self.body(), start);
        if self.body().get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        let mut text = String::new();
        self.escaped(start, end, &mut text)?;
        Ok(Cow::Owned(text))
    }

    /// Appends the string that began at `start` and is plain up to `end`.
    pub(super) fn escaped(&mut self, mut start: usize, mut end: usize, into: &mut String) -> Read {
        loop {
            into.push_str(&self.text[start..end]);
            self.at = end;
            match self.body().get(end) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => into.push(self.escape()?),
                Some(_) => return Err(self.problem("a string contains a control character")),
                None => return Err(self.cut_short()),
            }
            start = self.at;
            end = scan::plain_end(self.body(), start);
        }
    }

    pub(super) fn escape(&mut self) -> Read<char> {
        let byte = self.body().get(self.at + 1).copied().ok_or_else(|| self.cut_short())?;
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(self.problem("a text has an escape that JSON does not know")),
        };
        self.at += 2;
        Ok(plain)
    }

    /// `\u` and four digits; a character past 16 bits is two of them.
    pub(super) fn unicode(&mut self) -> Read<char> {
        let first = self.hex()?;
        let code = match first {
            0xd800..=0xdbff => match self.hex()? {
                second @ 0xdc00..=0xdfff => 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => return Err(self.problem("a string contains half of a surrogate pair")),
            },
            code => code,
        };
        let character = char::from_u32(code);
        character.ok_or_else(|| self.problem("a string contains half of a surrogate pair"))
    }

    pub(super) fn hex(&mut self) -> Read<u32> {
        let digits = self.body().get(self.at..self.at + 6);
        let digits = digits.and_then(|digits| digits.strip_prefix(b"\\u"));
        let value = digits.and_then(|digits| {
            let digit = |value: u32, byte: &u8| Some(value << 4 | char::from(*byte).to_digit(16)?);
            digits.iter().try_fold(0, digit)
        });
        let value = value.ok_or_else(|| self.problem("four digits were expected after \\u"))?;
        self.at += 6;
        Ok(value)
    }

    /// A number as it is written, with quotes or without; `null` is 0.
    pub(super) fn number(&mut self, expected: &str) -> Read<Cow<'a, str>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'n') => self.word("null").map(|()| Cow::Borrowed("0")),
            _ => match scan::number_end(self.body(), self.at) {
                Some(end) => {
                    let number = &self.text[self.at..end];
                    self.at = end;
                    Ok(Cow::Borrowed(number))
                }
                None => Err(self.unexpected(expected)),
            },
        }
    }

    /// Any whole number, however it is written.
    #[cold]
    pub(super) fn integer(&mut self, expected: &str) -> Read<i128> {
        self.peek();
        let start = self.at;
        let text = self.number(expected)?;
        json_mapping::integer(&text).ok_or_else(|| {
            self.at = start;
            self.unexpected(expected)
        })
    }

    /// A number without a sign as nearly all are written: digits, which may stand in quotes.
    #[inline]
    pub(super) fn digits(&mut self, start: usize, is_quoted: bool) -> Option<u64> {
        let (value, end) = scan::digits(self.body(), start)?;
        let next = self.body().get(end);
        if is_quoted {
            if next != Some(&b'"') {
                return None;
            }
            self.at = end + 1;
        } else {
            if matches!(next, Some(b'.' | b'e' | b'E')) {
                return None;
            }
            self.at = end;
        }
        Some(value)
    }

    /// The end of a list or map, or what parts its elements; `true` if another comes.
    #[inline]
    pub(super) fn next(&mut self, scope: &mut ReadScope, close: u8) -> Read<bool> {
        let next = self.peek();
        if scope.aux == open::LATER {
            return match next {
                Some(b',') => {
                    self.at += 1;
                    Ok(true)
                }
                Some(byte) if byte == close => {
                    self.at += 1;
                    Ok(false)
                }
                _ => Err(self.unexpected(format_args!("a comma or {}", char::from(close)))),
            };
        }
        if scope.aux == open::NOTHING {
            return Ok(false);
        }
        scope.aux = open::LATER;
        let ends = next == Some(close);
        self.at += usize::from(ends);
        Ok(!ends)
    }

    /// Whether an element or a value of a map may be what comes: `true`.
    #[inline]
    pub(super) fn is_value(&mut self, scope: &ReadScope) -> Read<bool> {
        match self.peek() {
            Some(b'n') if !scope.takes_null => Err(self.problem(Problem::null_element())),
            _ => Ok(true),
        }
    }

    /// The key of an entry, and the colon after it.
    #[inline]
    pub(super) fn key(&mut self) -> Read<Cow<'a, str>> {
        match self.peek() {
            Some(b'"') => {}
            _ => return Err(self.unexpected("a name in quotes")),
        }
        let key = self.quoted()?;
        self.colon()?;
        Ok(key)
    }

    #[inline]
    pub(super) fn colon(&mut self) -> Read {
        if self.peek() != Some(b':') {
            return Err(self.unexpected("a colon"));
        }
        self.at += 1;
        Ok(())
    }

    /// Passes over a value of any kind, nested at most `levels` deep: objects count, and lists
    /// inside of lists.
    pub(super) fn pass(&mut self, levels: usize, is_in_list: bool) -> Read {
        let deeper = || levels.checked_sub(1).ok_or_else(|| Problem::from(TooDeep));
        let mut scope = ReadScope::new(0);
        scope.aux = open::FIRST;
        match self.peek() {
            Some(b'{') => {
                let levels = deeper()?;
                self.at += 1;
                while self.next(&mut scope, b'}')? {
                    self.key()?;
                    self.pass(levels, false)?;
                }
                Ok(())
            }
            Some(b'[') => {
                let levels = if is_in_list { deeper()? } else { levels };
                self.at += 1;
                while self.next(&mut scope, b']')? {
                    self.pass(levels, true)?;
                }
                Ok(())
            }
            Some(b'"') => self.pass_text(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => self.number("a value").map(|_| ()),
        }
    }

    /// Passes over a string; its escapes are checked.
    pub(super) fn pass_text(&mut self) -> Read {
        self.at += 1;
        loop {
            self.at = scan::plain_end(self.body(), self.at);
            match self.body().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => _ = self.escape()?,
                Some(_) => return Err(self.problem("a string contains a control character")),
                None => return Err(self.cut_short()),
            }
        }
    }

    /// Opens what begins with `bracket`; `null` is an empty one.
    #[inline]
    pub(super) fn open(&mut self, scope: &mut ReadScope, bracket: u8, expected: &str) -> Read {
        match self.peek() {
            Some(byte) if byte == bracket => {
                self.at += 1;
                scope.aux = open::FIRST;
                Ok(())
            }
            Some(b'n') => {
                scope.aux = open::NOTHING;
                self.word("null")
            }
            _ => Err(self.unexpected(expected)),
        }
    }
}
