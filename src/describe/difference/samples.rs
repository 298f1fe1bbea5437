//! Values that stand for all of a type: those at its bounds.

use super::content::{Content, Plain};
use super::sample_texts::{BYTES, time_text};

impl<'a> Plain<'a> {
    /// What it costs to look for each value of one in the other.
    pub(super) fn cost(self, other: Self) -> usize {
        let variants = |of| match of {
            Self::Enum(of) => of.values.len(),
            _ => 0,
        };
        // Values at the bounds of a type are about sixty.
        let (own, others) = (variants(self), variants(other));
        256 + 8 * (own + others) + own.saturating_mul(others)
    }

    /// Values that stand for all but the default; those of text also for what `reader` looks for.
    pub(super) fn samples(self, reader: Self) -> Vec<Content<'a>>
    where
        Self: 'a,
    {
        match self {
            Self::Bool => vec![Content::Bool(true)],
            Self::Int(..) => {
                bounds().filter(|value| self.holds(*value)).map(Content::Int).collect()
            }
            Self::Float(32) => [0.5, 1.0, 1e30].map(Content::Float).into(),
            Self::Float(_) => [0.5, 0.1, 1.0, 1e30, 1e300].map(Content::Float).into(),
            Self::Text => {
                let mut texts = vec!["abc".to_owned(), "abcd".to_owned(), "12".to_owned()];
                if let Self::Enum(of) = reader {
                    texts.extend(of.values.iter().map(|value| value.name.clone()));
                }
                texts.into_iter().map(Content::Text).collect()
            }
            Self::Bytes(_) => BYTES.map(|(bytes, _)| Content::Bytes(bytes.into())).into(),
            Self::Time(kind) => vec![Content::Time(time_text(kind))],
            Self::Enum(of) => of.values.iter().map(Content::Variant).collect(),
        }
    }
}

/// Numbers at which a width ends, or a float stops being exact.
fn bounds() -> impl Iterator<Item = i128> {
    let widths = [7, 8, 15, 16, 24, 31, 32, 53, 63, 64].map(|bits| 1_i128 << bits);
    let around = widths.into_iter().flat_map(|bound| [bound - 1, bound, bound + 1]);
    [1, 2].into_iter().chain(around.clone()).chain([-1]).chain(around.map(|bound| -bound))
}
