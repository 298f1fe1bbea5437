//! A session with a registry that is a tree: providers, consumers and lists in Dubbo's layouts, over any
//! [`NodeTree`].

use std::sync::Arc;

use async_trait::async_trait;
use rpc_core::{Error, Instance, ServiceKey};

use super::layout::Layout;
use super::tree::NodeTree;
use crate::backend::{Listing, Session, Updates};

/// A session over one with a tree; it ends with that.
#[derive(Debug)]
pub(crate) struct TreeSession {
    tree: Arc<dyn NodeTree>,
    layout: Arc<Layout>,
}

impl TreeSession {
    /// A session over `tree`, which is open. Nothing is read or written before first use.
    pub(crate) fn new(tree: Arc<dyn NodeTree>, layout: Arc<Layout>) -> Self {
        Self { tree, layout }
    }
}

#[async_trait]
impl Session for TreeSession {
    async fn register(&self, _: &Instance) -> Result<(), Error> {
        Err(Error::unreachable("providers are not written yet"))
    }

    async fn unregister(&self, _: &Instance) -> Result<(), Error> {
        Ok(())
    }

    async fn watch(&self, _: &ServiceKey, _: &Updates) -> Result<(), Error> {
        Err(Error::unreachable("providers are not read yet"))
    }

    async fn fetch(&self, _: &ServiceKey) -> Result<Listing, Error> {
        Err(Error::unreachable("providers are not read yet"))
    }

    async fn services(&self) -> Result<Vec<ServiceKey>, Error> {
        Err(Error::unreachable("providers are not read yet"))
    }

    async fn closed(&self) {
        self.tree.closed().await;
    }

    fn reason(&self) -> Option<Error> {
        self.tree.reason()
    }
}
