//! Who calls a service, as a registry lists it.

/// A process that calls a service, as the registry lists it for people. No call depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedConsumer {
    /// Its host or IP address, as it sees itself towards the registry; a consumer has no port.
    pub host: String,
    /// Its `application.name`; empty if it has none.
    pub application: String,
    /// Its process on that host; 0 if it does not say so.
    pub pid: u32,
    /// When it started, in milliseconds since 1970; 0 if it does not say so.
    pub started_ms: u64,
}
