//! What Nacos refuses, and whether that is for good.

use futures_util::future::join;
use rpc_core::Error;

use super::*;

/// An entry at an address that says so much of itself.
fn long(address: &str, length: usize) -> String {
    format!("{}%26note%3D{}", at(address), "a".repeat(length))
}

async fn put(tree: &NacosTree, path: &str) -> Result<(), Error> {
    tree.put_owned(path, Bytes::new()).await
}

fn is_final(error: &Error) -> bool {
    error.is_invalid_config()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nacos_never_takes_is_told_and_costs_nobody_else_its_place() {
    for version in NacosVersion::ALL {
        let Some(server) = Running::shared(version) else { return };
        let tree = tree(&server, "refused").await;
        put(&tree, &at("10.0.0.1:1")).await.unwrap();
        let taken = put(&tree, &long("10.0.0.1:2", 1024)).await;
        match version {
            // It takes any.
            NacosVersion::Two => {
                taken.unwrap();
                tree.remove_owned(&long("10.0.0.1:2", 1024)).await.unwrap();
            }
            NacosVersion::Three => {
                let error = taken.unwrap_err();
                assert!(is_final(&error), "it is not tried again and again: {error}");
                let text = error.to_string();
                for part in [
                    "cannot register in `providers:shop.Stock___Inner:1:g`: it answers code 400: ",
                    "is illegal",
                    "give the provider less metadata",
                    "register-mode=instance",
                    "nacos.naming.service.metadata.length",
                ] {
                    assert!(text.contains(part), "{part}: {text}");
                }
            }
        }
        // More than either takes in one message.
        let large = |_: Option<&[u8]>| Some(vec![b'a'; 11 << 20].into());
        let error = tree.edit("/dubbo/metadata/shop/large", &large).await.unwrap_err();
        assert!(is_final(&error), "it is not tried again and again: {error}");
        let text = error.to_string();
        for part in ["cannot set configuration `shop` of group `large`: ", "register less"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        // A name that is none, as that of an application may be.
        let edit = |_: Option<&[u8]>| Some("a".into());
        let error = tree.edit("/dubbo/config/dubbo/shop@eu", &edit).await.unwrap_err();
        assert!(is_final(&error), "it is not tried again and again: {error}");
        put(&tree, &at("10.0.0.1:4")).await.unwrap();
        let is_listed =
            async { while tree.children(STOCK, ReadOf::Names).await.unwrap().len() != 2 {} };
        timeout(LIMIT, is_listed).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_with_one_that_is_refused_is_not_refused_for_good() {
    let Some(server) = Running::shared(NacosVersion::Three) else { return };
    for round in 0..8 {
        let tree = tree(&server, &format!("with-{round}")).await;
        let put_until_told = async |path: String| {
            let mut times = 0;
            loop {
                times += 1;
                match put(&tree, &path).await {
                    Err(error) if !is_final(&error) => assert!(times < 9, "{error}"),
                    outcome => break outcome,
                }
            }
        };
        let good = join_all((1..=4).map(|port| put_until_told(at(&format!("10.0.0.1:{port}")))));
        let bad =
            join_all((5..=6).map(|port| put_until_told(long(&format!("10.0.0.1:{port}"), 1024))));
        let (good, bad) = match round % 2 {
            0 => join(good, bad).await,
            _ => {
                let (bad, good) = join(bad, good).await;
                (good, bad)
            }
        };
        good.into_iter().for_each(Result::unwrap);
        assert!(bad.iter().all(|bad| bad.as_ref().is_err_and(is_final)), "{bad:?}");
    }
}
