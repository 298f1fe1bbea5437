//! How long a call may take if nobody says: for callers, and for a provider that is told no deadline.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::server::ServerConfig;

impl Deadline {
    /// The timeout of a call that sets none: 1 s, as in Dubbo.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
}

impl ServerConfig {
    /// The time for a call that comes without a deadline, such as one by curl: 60 s.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
}
