//! Messages that nest deeper than the limit: a call fails that holds or returns one, and nothing
//! else does.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use dubhe::extend::MAX_DEPTH;
use dubhe::prelude::*;
use dubhe::{Delivery, RunningProvider};
use support::http::post;
use support::memory;

/// A list that is one message in another.
#[dubhe::message]
#[derive(Debug)]
struct Node {
    next: Option<Box<Self>>,
}

impl Drop for Node {
    /// Without recursion: what a program does with a value as deep as this is its own affair.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut node) = next {
            next = node.next.take();
        }
    }
}

impl Node {
    fn chain(length: u32) -> Self {
        (1..length).fold(Self::default(), |node, _| Self { next: Some(Box::new(node)) })
    }

    fn length(&self) -> u32 {
        let nodes = std::iter::successors(Some(self), |node| node.next.as_deref());
        nodes.map(|_| 1).sum()
    }
}

/// A failure of its own that is as deep.
#[dubhe::error]
#[derive(Debug)]
enum Broken {
    #[rpc(code = "aborted")]
    At(Node),
    #[rpc(status)]
    Status(Status),
}

#[dubhe::service(name = "test.Chains")]
trait Chains {
    async fn chain(&self, length: u32) -> Result<Node>;
    async fn fail(&self, length: u32) -> Result<(), Broken>;
    async fn length(&self, chain: Node) -> Result<u32>;
    async fn lengths(&self, chains: Vec<Node>) -> Result<Vec<u32>>;
}

struct Smith;

impl Chains for Smith {
    async fn chain(&self, length: u32) -> Result<Node> {
        Ok(Node::chain(length))
    }

    async fn fail(&self, length: u32) -> Result<(), Broken> {
        Err(Broken::At(Node::chain(length)))
    }

    async fn length(&self, chain: Node) -> Result<u32> {
        Ok(chain.length())
    }

    async fn lengths(&self, chains: Vec<Node>) -> Result<Vec<u32>> {
        Ok(chains.iter().map(Node::length).collect())
    }
}

const CODECS: [&str; 3] = ["protobuf", "msgpack", "json"];
const TOO_DEEP: [u32; 3] = [65, 3_000, 100_000];

async fn open(codec: &str) -> (RunningProvider, ChainsClient) {
    let provider = support::provider(&memory(), "").serve(ChainsServer::new(Smith));
    let provider = provider.start().await.unwrap();
    let toml = format!("consumer.codec = \"{codec}\"");
    let client = support::consumer(&support::fixed(&provider), &toml).client().await.unwrap();
    (provider, client)
}

fn is_too_deep(status: &Status, code: Code, delivery: Delivery) {
    assert_eq!((status.code(), status.delivery()), (code, delivery), "{status}");
    assert!(status.message().contains("deeper than the limit of 64"), "{status}");
}

#[tokio::test]
async fn a_reply_nests_to_the_limit_and_a_deeper_one_fails_its_call_alone() {
    for codec in CODECS {
        let (_provider, chains) = open(codec).await;
        for length in [1, 63, MAX_DEPTH as u32] {
            assert_eq!(chains.chain(length).await.unwrap().length(), length, "{codec}");
        }
        for length in TOO_DEEP {
            let status = chains.chain(length).await.err().unwrap();
            is_too_deep(&status, Code::Internal, Delivery::Answered);
        }
        assert_eq!(chains.chain(2).await.unwrap().length(), 2);
    }
}

#[tokio::test]
async fn arguments_nest_to_the_limit_and_deeper_ones_are_not_sent() {
    for codec in CODECS {
        let (_provider, chains) = open(codec).await;
        for length in [1, 63, 64] {
            assert_eq!(chains.length(Node::chain(length)).await.unwrap(), length, "{codec}");
        }
        for length in TOO_DEEP {
            let status = chains.length(Node::chain(length)).await.unwrap_err();
            is_too_deep(&status, Code::InvalidArgument, Delivery::NotSent);
        }
        // The list of arguments is a message around them.
        assert_eq!(chains.lengths(vec![Node::chain(63)]).await.unwrap(), [63]);
        let status = chains.lengths(vec![Node::chain(64)]).await.unwrap_err();
        is_too_deep(&status, Code::InvalidArgument, Delivery::NotSent);
    }
}

#[tokio::test]
async fn a_business_error_that_nests_too_deep_keeps_its_code_and_loses_its_details() {
    for codec in CODECS {
        let (_provider, chains) = open(codec).await;
        assert!(matches!(chains.fail(60).await, Err(Broken::At(node)) if node.length() == 60));
        for length in TOO_DEEP {
            let Err(Broken::Status(status)) = chains.fail(length).await else {
                panic!("{codec} carries a chain of {length}");
            };
            assert_eq!(status.code(), Code::Aborted, "{status}");
        }
    }
}

#[tokio::test]
async fn over_http_a_reply_that_is_too_deep_is_an_error_and_the_next_is_not() {
    let (provider, _) = open("json").await;
    let address = provider.local_addr();
    for length in TOO_DEEP {
        let answer = post(address, "/test.Chains/chain", &format!("[{length}]")).await;
        assert_eq!(answer.status, 500, "{}", answer.text());
        assert!(answer.text().contains("deeper than the limit of 64"), "{}", answer.text());
    }
    let answer = post(address, "/test.Chains/chain", "[64]").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for depth in [65, 3_000, 100_000] {
        let body = format!("{}{{}}{}", r#"{"next":"#.repeat(depth - 1), "}".repeat(depth - 1));
        let answer = post(address, "/test.Chains/length", &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        let body = format!(r#"{{"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        let answer = post(address, "/test.Chains/length", &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_call_without_a_stub_nests_to_the_same_limit() {
    let (provider, _) = open("json").await;
    let consumer = support::consumer(&support::fixed(&provider), "");
    let chains = consumer.dynamic(&"test.Chains".parse().unwrap()).await.unwrap();
    let nested = |depth: usize| {
        (1..depth).fold(serde_json::json!({}), |next, _| serde_json::json!({ "next": next }))
    };
    for depth in [63, 64] {
        let length = chains.call("length", nested(depth)).await.unwrap();
        assert_eq!(length, serde_json::json!({ "value": depth }));
    }
    let status = chains.call("length", nested(65)).await.unwrap_err();
    assert_eq!(status.delivery(), Delivery::NotSent);
    assert!(status.message().contains("nested deeper than 64 messages"), "{status}");
}
