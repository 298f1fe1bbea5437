//! Records, fields and enums as static data, by which a codec writes and reads values. The macros
//! write it.

/// A record as static data: a struct, an enum with data, an argument list.
#[derive(Debug)]
#[non_exhaustive]
pub struct RecordSchema {
    /// The type's name.
    pub name: &'static str,
    /// Its name in formats that carry foreign type names, such as `com.shop.Order`; empty if it
    /// has none.
    pub class: &'static str,
    /// Its fields in the order of declaration, which is that of positions.
    pub fields: &'static [FieldSchema],
    /// Whether it is read from an array, too.
    pub positions: Positions,
}

impl RecordSchema {
    /// A record without a foreign name.
    #[must_use]
    pub const fn new(
        name: &'static str,
        fields: &'static [FieldSchema],
        positions: Positions,
    ) -> Self {
        Self { name, class: "", fields, positions }
    }

    /// Sets the foreign name of the record.
    #[must_use]
    pub const fn with_class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    /// The field of this name, in either spelling. It is looked for from `expected` on, so a peer
    /// that writes fields in our order costs one comparison each.
    #[must_use]
    #[inline]
    pub fn find(&self, name: &[u8], expected: usize) -> Option<usize> {
        match self.fields.get(expected) {
            Some(field) if field.name.as_bytes() == name => Some(expected),
            _ => self.find_anywhere(name),
        }
    }

    fn find_anywhere(&self, name: &[u8]) -> Option<usize> {
        let named = |field: &FieldSchema| field.name.as_bytes() == name;
        let spelled = |field: &FieldSchema| field.alias.as_bytes() == name && !name.is_empty();
        let found = self.fields.iter().position(named);
        found.or_else(|| self.fields.iter().position(spelled))
    }

    /// Whether it is read from an array of its fields in a format that is text, or in one that is
    /// not.
    #[must_use]
    #[inline]
    pub fn is_positional(&self, is_text: bool) -> bool {
        match self.positions {
            Positions::Always => true,
            Positions::Compact => !is_text,
            Positions::Never => false,
        }
    }
}

/// Whether a record is read from an array of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// In every format: argument lists.
    Always,
    /// Only in binary formats, whose writers often leave names out: messages.
    Compact,
    /// In none: enums with data. A name that none of their fields has is a variant of another
    /// version, not a field to be skipped; see [`ReadScope::field`](super::ReadScope::field).
    Never,
}

/// A field of a record as static data.
#[derive(Debug)]
#[non_exhaustive]
pub struct FieldSchema {
    /// Its name in lowerCamelCase, as formats with names write it.
    pub name: &'static str,
    /// The other spelling, which is read, too; empty if it has none.
    pub alias: &'static str,
    /// Its type's name in formats that carry foreign type names, such as `java.util.Date` of an
    /// `i64`; empty where the format's own will do.
    pub class: &'static str,
    /// Its number in formats with numbers.
    pub tag: u32,
    is_short: bool,
    short: [u8; SHORT_NAME],
}

/// The longest name that is copied without a loop.
const SHORT_NAME: usize = 16;

impl FieldSchema {
    /// A field of this number and name; `alias` is its other spelling, which may be the same.
    #[must_use]
    pub const fn new(tag: u32, name: &'static str, alias: &'static str) -> Self {
        let (bytes, mut short, mut is_short) = (name.as_bytes(), [0; SHORT_NAME], true);
        let mut at = 0;
        while at < bytes.len() {
            if at == SHORT_NAME || bytes[at] < 0x20 || matches!(bytes[at], b'"' | b'\\') {
                is_short = false;
                break;
            }
            short[at] = bytes[at];
            at += 1;
        }
        let alias = if is_same(bytes, alias.as_bytes()) { "" } else { alias };
        Self { name, alias, class: "", tag, is_short, short }
    }

    /// Sets the foreign name of the field's type.
    #[must_use]
    pub const fn with_class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    /// The name once more, padded to 16 bytes, so that it is copied without a loop; `None` if it
    /// is longer or has characters that JSON escapes.
    #[must_use]
    #[inline]
    pub const fn short_name(&self) -> Option<&[u8; SHORT_NAME]> {
        if self.is_short { Some(&self.short) } else { None }
    }
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// An enum without data as static data.
#[derive(Debug)]
#[non_exhaustive]
pub struct EnumSchema {
    /// The type's name.
    pub name: &'static str,
    /// Its name in formats that carry foreign type names; empty if it has none.
    pub class: &'static str,
    /// Its variants in the order of declaration; the first has number 0 and is the default.
    pub variants: &'static [VariantSchema],
}

/// A variant of an enum without data as static data.
#[derive(Debug)]
#[non_exhaustive]
pub struct VariantSchema {
    /// Its number.
    pub number: i32,
    /// Its name on the wire, such as `DARK_GREEN`.
    pub name: &'static str,
    /// Its name in Rust, such as `DarkGreen`, which is read, too.
    pub alias: &'static str,
}

impl EnumSchema {
    /// An enum without a foreign name.
    #[must_use]
    pub const fn new(name: &'static str, variants: &'static [VariantSchema]) -> Self {
        Self { name, class: "", variants }
    }

    /// Sets the foreign name of the enum.
    #[must_use]
    pub const fn with_class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    /// The name of the variant of this number; empty if there is none.
    #[must_use]
    #[inline]
    pub fn name_of(&self, number: i32) -> &'static str {
        // Most count from 0 without gaps.
        let guess = usize::try_from(number).ok().and_then(|at| self.variants.get(at));
        let found = guess.filter(|variant| variant.number == number);
        let found = found.or_else(|| self.variants.iter().find(|other| other.number == number));
        found.map_or("", |variant| variant.name)
    }

    /// The number of the variant of this name; its spelling in Rust counts where no variant has
    /// that name on the wire.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<i32> {
        let named = self.variants.iter().find(|variant| variant.name == name);
        let found = named.or_else(|| self.variants.iter().find(|variant| variant.alias == name));
        found.map(|variant| variant.number)
    }
}

impl VariantSchema {
    /// A variant of this number and name; `alias` is its other spelling, which may be the same.
    #[must_use]
    pub const fn new(number: i32, name: &'static str, alias: &'static str) -> Self {
        Self { number, name, alias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: RecordSchema = RecordSchema::new(
        "Order",
        &[
            FieldSchema::new(1, "id", "id"),
            FieldSchema::new(2, "articleId", "article_id"),
            FieldSchema::new(3, "aNameOfSeventeenB", "a_name"),
            FieldSchema::new(4, "quoted\"", "quoted"),
        ],
        Positions::Compact,
    );

    #[test]
    fn fields_are_found_in_either_spelling_wherever_they_are_expected() {
        for expected in 0..6 {
            assert_eq!(ORDER.find(b"id", expected), Some(0));
            assert_eq!(ORDER.find(b"articleId", expected), Some(1));
            assert_eq!(ORDER.find(b"article_id", expected), Some(1));
            assert_eq!(ORDER.find(b"", expected), None);
            assert_eq!(ORDER.find(b"articleI", expected), None);
        }
    }

    #[test]
    fn names_that_need_a_loop_are_not_short() {
        let short: Vec<_> = ORDER.fields.iter().map(|field| field.short_name()).collect();
        assert_eq!(short[0], Some(b"id\0\0\0\0\0\0\0\0\0\0\0\0\0\0"));
        assert!(short[1].is_some());
        assert_eq!(short[2..], [None, None]);
    }

    #[test]
    fn variants_are_found_by_number_and_by_either_name() {
        const COLOR: EnumSchema = EnumSchema::new(
            "Color",
            &[VariantSchema::new(0, "RED", "Red"), VariantSchema::new(-7, "DARK", "Dark")],
        );
        assert_eq!([0, -7, 1].map(|number| COLOR.name_of(number)), ["RED", "DARK", ""]);
        assert_eq!(COLOR.number_of("Dark"), Some(-7));
        assert_eq!(COLOR.number_of("dark"), None);
    }

    #[test]
    fn a_name_on_the_wire_goes_before_a_spelling_in_rust() {
        const LEVEL: EnumSchema = EnumSchema::new(
            "Level",
            &[VariantSchema::new(0, "LOW", "Off"), VariantSchema::new(1, "Off", "Low")],
        );
        assert_eq!(
            ["LOW", "Off", "Low"].map(|name| LEVEL.number_of(name)),
            [Some(0), Some(1), Some(1)]
        );
    }
}
