//! The cluster invoker: directory, routers, balancer and policy put together and erased.

use std::sync::Arc;

use rpc_core::BoxInvoker;

use crate::backlog::Backlog;
use crate::budget::RetryBudget;
use crate::directory::Directory;
use crate::load_balance::LoadBalance;
use crate::picker::Picker;
use crate::policy::ClusterPolicy;
use crate::router::RouterChain;

/// The parts of a cluster invoker; one is built for each method that is configured apart.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Where the endpoints come from; shared by the methods of a service.
    pub directory: Arc<Directory>,
    /// What narrows them.
    pub routers: RouterChain,
    /// What selects one of them; the method's own.
    pub balancer: Arc<dyn LoadBalance>,
    /// What happens on failure.
    pub policy: Arc<dyn ClusterPolicy>,
    /// What bounds re-sends; shared by the whole consumer.
    pub budget: Arc<RetryBudget>,
    /// Where failed calls wait to be sent again; shared by the whole consumer, which alone keeps
    /// it alive.
    pub backlog: Arc<Backlog>,
    /// Makes pauses between attempts reproducible; `None` for others each time.
    pub seed: Option<u64>,
}

impl Cluster {
    /// The invoker of these parts: the policy's layer over the picking service.
    #[must_use]
    pub fn into_invoker(self) -> BoxInvoker {
        let policy = self.policy.clone();
        policy.layer(Picker::new(self))
    }
}
