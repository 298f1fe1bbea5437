//! Every accepted form of a trait and its methods, without a single warning.
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub)]
#![deny(rust_2018_idioms)]
#![allow(unused_qualifications)]

use dubhe_rpc_macros::service;
use rpc_core::Result;

#[service(crate = rpc_core)]
trait Settings {
    #[rpc(idempotent, timeout = "300ms", retries = 2, cluster = "failfast", fallback = "null")]
    async fn all(&self) -> Result<String>;
    #[rpc(oneway)]
    async fn one_way(&self, line: String) -> Result<()>;
    #[rpc(oneway, idempotent)]
    async fn repeatable_one_way(&self) -> Result<(), rpc_core::Status>;
    #[rpc(name = "sayHello")]
    #[rpc(timeout = "1s")]
    async fn in_two_attributes(&self) -> Result<()>;
    #[rpc(timeout = "2m", retries = 0)]
    async fn minutes(&self) -> Result<()>;
    #[rpc()]
    async fn nothing(&self) -> Result<()>;
}

#[service(crate = ::rpc_core, name = "shop.v1.Inventory", group = "blue-1", version = "1.0.0")]
trait Named {
    async fn ping(&self) -> Result<()>;
}

#[service(crate = rpc_core)]
trait Results {
    async fn alias(&self) -> rpc_core::Result<u8>;
    async fn of_std(&self) -> std::result::Result<u8, rpc_core::Status>;
    async fn absolute(&self) -> ::core::result::Result<u8, rpc_core::Status>;
}

#[service(crate = rpc_core)]
trait Bounds: Send + Sync + 'static {
    async fn ping(&self) -> Result<()>;
}

#[service(crate = rpc_core)]
trait RawNames {
    async fn r#type(&self, r#match: u32) -> Result<u32>;
    async fn r#fn(&self) -> Result<u32> {
        self.r#type(1).await
    }
}

#[service(crate = rpc_core)]
trait Bodies {
    async fn simple(&self) -> Result<u32> {
        Ok(1)
    }
    async fn unused(&self, _name: String) -> Result<u32> {
        Ok(1)
    }
    async fn mutable(&self, mut names: Vec<String>) -> Result<Vec<String>> {
        names.sort();
        Ok(names)
    }
}

/// Shadows what generated code might call its own variables.
#[service(crate = rpc_core)]
trait Arguments {
    #[allow(clippy::too_many_arguments)]
    async fn names(
        &self,
        stub: u8,
        status: u8,
        arguments: u8,
        value: u8,
        error: u8,
        service: u8,
        index: u8,
        invocation: u8,
    ) -> Result<u8>;
    #[deprecated]
    #[must_use]
    async fn attributes(&self, a: u8) -> Result<u8>;
}

macro_rules! declare {
    ($name:ident, $method:ident, $argument:ident: $ty:ty) => {
        #[service(crate = rpc_core)]
        trait $name {
            async fn $method(&self, $argument: $ty) -> Result<$ty>;
            async fn fixed(&self, value: $ty) -> Result<$ty> {
                self.$method(value).await
            }
        }
    };
}

declare!(ByMacro, call, argument: u32);

/// Visible inside and outside.
pub mod api {
    use dubhe_rpc_macros::service;
    use rpc_core::Result;

    /// Public.
    #[service(crate = rpc_core)]
    pub trait Public {
        /// Pings.
        async fn ping(&self, value: u32) -> Result<u32>;
    }

    #[service(crate = rpc_core)]
    pub(crate) trait Internal {
        async fn ping(&self) -> Result<()>;
    }

    pub(crate) mod inner {
        use dubhe_rpc_macros::service;
        use rpc_core::Result;

        #[service(crate = rpc_core)]
        pub(super) trait Nested {
            async fn ping(&self) -> Result<()>;
        }
    }

    pub(crate) fn nested() -> bool {
        std::mem::needs_drop::<inner::NestedClient>()
    }
}

mod elsewhere {
    use crate::api::{Public, PublicClient, PublicServer};
    use rpc_core::Result;

    struct Me;

    impl Public for Me {
        async fn ping(&self, value: u32) -> Result<u32> {
            Ok(value)
        }
    }

    pub(crate) async fn uses(client: PublicClient) -> Result<u32> {
        let _ = PublicServer::new(Me);
        for node in client.broadcast().ping(1).await? {
            let _: (std::sync::Arc<str>, Result<u32>) = (node.address, node.result);
        }
        client.ping(1).await
    }
}

fn is_send<T: Send>(_: T) {}

fn generic<S: Settings>(service: &S) {
    is_send(service.all());
}

fn main() {
    let _ = (generic::<SettingsClient>, api::nested, elsewhere::uses);
    let _: Option<(api::InternalClient, NamedClient, ResultsClient, BoundsClient)> = None;
    let _: Option<(RawNamesClient, BodiesClient, ArgumentsClient, ByMacroClient)> = None;
}
