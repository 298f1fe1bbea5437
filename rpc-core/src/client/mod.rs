//! The consumer's end: typed calls to invocations.

mod options;
mod stub;

pub use self::options::CallOptions;
pub use self::stub::{ServiceClient, Stub, StubMethod};
