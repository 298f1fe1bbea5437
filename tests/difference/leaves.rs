//! Types of single values, and their values at the bounds.

use std::fmt::Debug;

use rpc_core::message::Field;

#[dubhe::message]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum State {
    Unknown,
    Open,
    Shipped = 7,
}

#[dubhe::message]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Lenient {
    Unknown,
    Open,
    #[rpc(other)]
    Other = 9,
}

#[dubhe::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub x: i64,
    pub y: String,
}

/// A value whatever its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    Int(i128),
    Single(f32),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Variant(&'static str, i128),
    Point(Point),
}

impl Shown {
    /// Whether `read` is this value, in whatever type.
    pub fn is(&self, read: &Self) -> bool {
        match (self, read) {
            (Self::Single(one), Self::Double(other)) => *one == *other as f32,
            (Self::Variant(name, _), Self::Text(text)) => name == text,
            (Self::Text(text), Self::Variant(name, _)) => name == text,
            (Self::Text(text), Self::Bytes(bytes)) | (Self::Bytes(bytes), Self::Text(text)) => {
                text.as_bytes() == bytes
            }
            (Self::Text(text), other) | (other, Self::Text(text)) => match other {
                Self::Text(other) => text == other,
                Self::Int(number) => *text == number.to_string(),
                _ => other.number().is_some() && text.parse::<f64>().ok() == other.number(),
            },
            (Self::Int(one), Self::Single(other)) => *one == *other as i128,
            (Self::Int(one), Self::Double(other)) => *one == *other as i128,
            (one, other) if one.number().is_some() => one.number() == other.number(),
            (one, other) => one == other,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(number) | Self::Variant(_, number) => Some(*number as f64),
            Self::Single(number) => Some(f64::from(*number)),
            Self::Double(number) => Some(*number),
            Self::Text(_) | Self::Bytes(_) | Self::Point(_) => None,
        }
    }
}

/// A type of single values.
pub trait Leaf: Field + Default + Clone + PartialEq + Debug {
    /// Values at its bounds, none of them the default.
    fn samples() -> Vec<Self>;
    fn shown(&self) -> Shown;

    /// Whether it stands for what is not known.
    fn is_other(&self) -> bool {
        false
    }
}

macro_rules! integers {
    ($($ty:ty)*) => {$(
        impl Leaf for $ty {
            fn samples() -> Vec<Self> {
                let bounds = [7, 8, 15, 16, 24, 31, 32, 53, 63, 64].map(|bits| 1_i128 << bits);
                let around = bounds.iter().flat_map(|bound| [bound - 1, *bound, bound + 1]);
                let all = around.flat_map(|value| [value, -value]).chain([1, 2, -1]);
                all.filter_map(|value| value.try_into().ok()).collect()
            }

            fn shown(&self) -> Shown {
                Shown::Int((*self).into())
            }
        }
    )*};
}

integers!(i8 i16 i32 i64 u8 u16 u32 u64);

macro_rules! leaves {
    ($($ty:ty: $samples:expr, |$it:ident| $shown:expr;)*) => {$(
        impl Leaf for $ty {
            fn samples() -> Vec<Self> {
                $samples.into()
            }

            fn shown(&self) -> Shown {
                let $it = self;
                $shown
            }
        }
    )*};
}

leaves! {
    bool: [true], |it| Shown::Int((*it).into());
    f32: [0.5, 1.0, 1e30], |it| Shown::Single(*it);
    f64: [0.5, 0.1, 1.0, 1e30, 1e300], |it| Shown::Double(*it);
    String: ["abc", "abcd", "12", "OPEN"].map(str::to_owned), |it| Shown::Text(it.clone());
    Vec<u8>: [&b"abc"[..], b"\xff\xfe", b"\xd7\x6d\xf8"].map(<[u8]>::to_vec),
        |it| Shown::Bytes(it.clone());
    Point: [Point { x: 5, y: "abc".to_owned() }], |it| Shown::Point(it.clone());
}

impl Leaf for State {
    fn samples() -> Vec<Self> {
        vec![Self::Open, Self::Shipped]
    }

    fn shown(&self) -> Shown {
        match self {
            Self::Unknown => Shown::Variant("UNKNOWN", 0),
            Self::Open => Shown::Variant("OPEN", 1),
            Self::Shipped => Shown::Variant("SHIPPED", 7),
        }
    }
}

impl Leaf for Lenient {
    fn samples() -> Vec<Self> {
        vec![Self::Open, Self::Other]
    }

    fn shown(&self) -> Shown {
        match self {
            Self::Unknown => Shown::Variant("UNKNOWN", 0),
            Self::Open => Shown::Variant("OPEN", 1),
            Self::Other => Shown::Variant("OTHER", 9),
        }
    }

    fn is_other(&self) -> bool {
        *self == Self::Other
    }
}
