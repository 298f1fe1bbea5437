//! Why a server of Nacos refuses a request, and the codes that mean more than their text.

/// Why a request failed.
#[derive(Debug)]
pub(super) struct NacosRefusal {
    /// Nacos' code; 0 if the server did not answer.
    pub(super) code: i32,
    pub(super) why: String,
}

impl NacosRefusal {
    /// That of a server that did not answer, or not in a form that we know.
    pub(super) fn silent(why: impl ToString) -> Self {
        Self { code: 0, why: why.to_string() }
    }
}

/// Error codes that mean more to us than their message.
pub(super) mod code {
    /// The key of a configuration has no value.
    pub(in crate::nacos) const NOT_FOUND: i32 = 300;
    /// The server does not know this connection (any more).
    pub(in crate::nacos) const UNREGISTERED: i32 = 301;
    /// A configuration is being changed at this moment.
    pub(in crate::nacos) const BEING_CHANGED: i32 = 400;
    /// A registration says what none may.
    pub(in crate::nacos) const ILLEGAL: i32 = 400;
    /// No token, a bad one, or no right to this.
    pub(in crate::nacos) const NO_RIGHT: i32 = 403;
    /// None of Nacos' own: the server takes no connection of ours.
    pub(in crate::nacos) const UNWANTED: i32 = -1;
    /// Nor that: the message was longer than servers take.
    pub(in crate::nacos) const TOO_LARGE: i32 = -2;
}
