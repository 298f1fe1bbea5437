//! Bodies of many messages: their sources, how they are read, and what lives as long as they do.
//!
//! A stream is a form of [`Body`](crate::Body), so a streaming call takes the path of every other:
//! an [`Invocation`](crate::Invocation) goes in, a [`Reply`](crate::Reply) comes out. Messages are
//! pulled: nothing is made before it is read, which is all the back-pressure there is.

mod messages;
mod opening;
mod sender;
mod source;
mod streaming;
mod until_end;

pub use self::messages::Messages;
pub(crate) use self::messages::SharedStream;
pub(crate) use self::opening::Opening;
pub use self::sender::StreamSender;
pub use self::source::MessageSource;
pub use self::streaming::Streaming;
pub(crate) use self::until_end::UntilEnd;
