//! Generated code means the same without a prelude, among shadowed names, in a renamed crate.
#![no_implicit_prelude]
#![deny(warnings)]

extern crate rpc_core as renamed;

mod reexport {
    pub(crate) use ::rpc_core as deep;
}

#[::dubhe_rpc_macros::service(crate = crate::reexport::deep)]
trait ByPath {
    async fn hello(&self, name: ::std::string::String) -> ::renamed::Result<::std::string::String>;
}

/// Every name that generated code could mean by accident.
#[allow(dead_code, non_camel_case_types)]
mod shadowed {
    use ::dubhe_rpc_macros::service;

    pub(crate) struct Arc;
    pub(crate) struct Box;
    pub(crate) struct Pin;
    pub(crate) struct Future;
    pub(crate) struct Option;
    pub(crate) struct String;
    pub(crate) struct Vec;
    pub(crate) struct Some;
    pub(crate) struct None;
    pub(crate) struct Ok;
    pub(crate) struct Err;
    pub(crate) struct Status;
    pub(crate) struct Stub;
    pub(crate) struct Reply;
    pub(crate) struct Returned;
    pub(crate) struct Handler;
    pub(crate) struct PhantomData;
    pub(crate) struct T;
    pub(crate) trait Send {}
    pub(crate) trait Sync {}
    pub(crate) trait Sized {}
    pub(crate) trait Clone {}
    pub(crate) trait Copy {}
    pub(crate) trait Debug {}
    pub(crate) trait Default {}
    pub(crate) trait From {}
    pub(crate) trait Into {}
    pub(crate) trait Drop {}
    pub(crate) trait Fn {}
    pub(crate) trait Iterator {}
    pub(crate) trait Message {}
    pub(crate) trait Field {}
    pub(crate) trait Describe {}
    pub(crate) mod std {}
    pub(crate) mod core {}
    pub(crate) mod alloc {}
    pub(crate) mod fmt {}
    pub(crate) mod serde {}
    pub(crate) mod prost {}
    pub(crate) mod rpc_core {}
    pub(crate) mod dubhe {}

    pub(crate) type Text = ::std::string::String;

    #[service(crate = ::renamed)]
    pub(crate) trait Shadowed {
        #[rpc(idempotent, timeout = "1s", retries = 1, oneway)]
        async fn one_way(&self) -> ::renamed::Result<()>;
        async fn hello(&self, name: Text, age: u32) -> ::renamed::Result<Text>;
        async fn body(&self, name: Text) -> ::renamed::Result<Text> {
            ::std::result::Result::Ok(name)
        }
    }
}

fn main() {
    let _: ::std::option::Option<(ByPathClient, shadowed::ShadowedClient)> =
        ::std::option::Option::None;
}
