//! Services as `.proto` files, and names that are nearly right.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use dubhe::ServiceClient;
use dubhe::prelude::*;
use support::{Shelf, StockClient, StockServer, builder, dubhe, shop, started};

#[dubhe::service(name = "test.Till", group = "blue", version = "2")]
trait Till {
    /// What is in it.
    #[rpc(idempotent)]
    async fn sum(&self) -> Result<u64>;
}

struct Drawer;

impl Till for Drawer {
    async fn sum(&self) -> Result<u64> {
        Ok(7)
    }
}

#[tokio::test]
async fn a_service_is_printed_as_its_trait_prints_it() {
    let (registry, provider) = shop().await;
    let expected = StockClient::DESCRIPTOR.to_proto();
    let run = registry.dubhe(&["idl", "test.Stock"]).await.code(0);
    assert_eq!((&*run.out, &*run.err), (&*expected, ""));
    // The only one there is need not be named; an address will do.
    let fixed = format!("static://{}", provider.address());
    assert_eq!(dubhe(&["--registry", &fixed, "idl"]).await.code(0).out, expected);
    let told = registry.dubhe(&["idl", "--json"]).await.code(0).json();
    assert_eq!(told["services"][0]["proto"], *expected);
    assert_eq!(told["services"][0]["file"], serde_json::Value::Null);
    registry.dubhe(&["idl", "test.Stok"]).await.code(1).says("did you mean `test.Stock`?");
}

#[tokio::test]
async fn all_services_are_written_into_a_folder_each_by_itself() {
    let (registry, _one) = shop().await;
    let till = builder(&registry.url, "", &["dubbo"]).serve(TillServer::new(Drawer));
    let _till = started(till).await;
    let run = registry.dubhe(&["idl"]).await.code(2);
    run.says("name one, or give --out a folder").says("blue/test.Till:2");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("protos/all");
    let run = registry.dubhe(&["idl", "--out", out.to_str().unwrap()]).await.code(0);
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    assert_eq!(read("test.Stock.proto"), StockClient::DESCRIPTOR.to_proto());
    assert_eq!(read("test.Till.proto"), TillClient::DESCRIPTOR.to_proto());
    assert_eq!(run.out.lines().count(), 2, "{}", run.out);
    // One that nobody tells of costs no other.
    let gone = builder(&registry.url, "", &["json"])
        .serve_as("test.Gone".parse().unwrap(), StockServer::new(Shelf));
    let _gone = started(gone).await;
    let run = registry.dubhe(&["idl", "--out", out.to_str().unwrap()]).await.code(1);
    assert_eq!(run.out.lines().count(), 2, "{}", run.out);
    run.says("error: test.Gone: ");
}

#[tokio::test]
async fn of_near_names_those_of_the_same_interface_come_first() {
    let (registry, _one) = shop().await;
    let far = "shop.Stocks".parse().unwrap();
    let far = builder(&registry.url, "", &["dubbo"]).serve_as(far, StockServer::new(Shelf));
    let _far = started(far).await;
    for (asked, meant) in [
        // A method that is misspelt is one of its interface.
        ("test.Stock/lift", "unknown method of test.Stock `lift` (did you mean `left`?)"),
        // A package that is misspelt, or another: the interface of the same name.
        ("tst.Stock/left", "unknown service `tst.Stock` (did you mean `test.Stock`?)"),
        ("warehouse.Stock/left", "unknown service `warehouse.Stock` (did you mean `test.Stock`?)"),
        ("test.Stock:2/left", "unknown service `test.Stock:2` (did you mean `test.Stock`?)"),
    ] {
        for command in ["call", "ls"] {
            let run = registry.dubhe(&[command, asked]).await;
            assert!(run.code != 0 && run.err.contains(meant), "{command} {asked}: {}", run.err);
        }
    }
}
