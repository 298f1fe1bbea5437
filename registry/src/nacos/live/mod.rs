//! The tree against real servers of both versions, as `cargo xtask nacos` prepares them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use servers::{Nacos as Running, NacosVersion};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Nacos;
use super::tree::NacosTree;
use crate::RegistryParams;
use crate::backend::Demand;
use crate::dubbo::{DubboUrl, NodeTree, ReadOf, ServiceInstance, TreeNode};

mod nodes;
mod refusals;
mod switches;

const LIMIT: Duration = Duration::from_secs(20);

/// A tree of `server`, in a namespace of its own.
async fn tree(server: &str, namespace: &str) -> NacosTree {
    tree_of(server, namespace, &Demand::default()).await
}

async fn tree_of(server: &str, namespace: &str, demand: &Demand) -> NacosTree {
    let address = format!("nacos://{server}?namespace={namespace}-{}", std::process::id());
    let nacos = Nacos::of(&RegistryParams::new(address)).unwrap();
    nacos.open(&nacos.servers[0], demand).await.unwrap()
}

fn url(address: &str) -> String {
    let url = format!("dubhe://{address}/shop.Stock$Inner?interface=shop.Stock$Inner&dubhe.id=1");
    DubboUrl::parse(&url).unwrap().to_node_name()
}

fn at(address: &str) -> String {
    format!("{STOCK}/{}", url(address))
}

const STOCK: &str = "/dubbo/shop.Stock%24Inner%3A1%3Ag/providers";

type Newest = watch::Receiver<Option<Arc<[TreeNode]>>>;

async fn shows(newest: &mut Newest, addresses: &[&str]) {
    let expected: Vec<String> = addresses.iter().map(|address| url(address)).collect();
    let fits = |nodes: &Option<Arc<[TreeNode]>>| {
        nodes.as_ref().is_some_and(|nodes| {
            let mut names: Vec<_> = nodes.iter().map(|node| node.name.to_string()).collect();
            names.sort();
            let path = |name: &String| {
                let url = DubboUrl::from_node_name(name).unwrap();
                (url.address(), url.path)
            };
            names.iter().map(path).eq(expected.iter().map(path))
        })
    };
    let waited = timeout(LIMIT, newest.wait_for(fits)).await.map(|seen| seen.map(drop));
    if !matches!(waited, Ok(Ok(()))) {
        panic!("{waited:?}, it stays at {:?}", newest.borrow());
    }
}

fn record(port: u16, started: u64) -> (String, Bytes) {
    let metadata = BTreeMap::from([("timestamp".to_owned(), started.to_string())]);
    let record = ServiceInstance::from_nacos("shop", "10.0.0.1", port, metadata);
    (format!("/services/shop/{}", record.id()), record.to_curator_json().into())
}
