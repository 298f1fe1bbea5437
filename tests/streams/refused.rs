//! Where streams cannot go, and what is said then.

use dubhe::{Code, Delivery, Streaming};
use serde_json::json;

use crate::support;
use crate::wire::{Streams, StreamsClient, Wire};

#[tokio::test]
async fn a_streaming_method_of_an_instance_that_speaks_dubbo_alone_says_what_to_do() {
    let ends = Wire::new("dubbo").connect().await;
    for status in [
        ends.client.count(1, 0).await.unwrap_err(),
        ends.client.sum(Streaming::of([1])).await.unwrap_err(),
    ] {
        assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::NotSent));
        assert!(status.message().contains("it speaks dubbo, over which"), "{status}");
        assert!(status.message().contains("scope = \"local\""), "{status}");
    }
    ends.provider.shutdown().await;
}

#[tokio::test]
async fn calls_without_a_stub_refuse_methods_that_stream() {
    let ends = Wire::new("dubbo").connect().await;
    let dynamic = ends.consumer.dynamic(&"Streams".parse().unwrap()).await.unwrap();
    let status = dynamic.call("count", json!([1, 0])).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Unimplemented, Delivery::NotSent));
    assert!(status.message().contains("Streams/count is server-streaming"), "{status}");
    let described = dynamic.method("double").unwrap();
    let signature = dynamic.description().signature(described);
    assert_eq!(signature, "double(stream numbers: uint64) -> (stream value: uint64)");
    ends.provider.shutdown().await;
}

#[tokio::test]
async fn policies_that_send_to_several_or_later_refuse_methods_that_stream() {
    for policy in ["forking", "broadcast", "failback"] {
        let toml = format!("[consumer.services.Streams.methods.first]\ncluster = \"{policy}\"\n");
        let consumer = support::consumer(&support::memory(), &toml);
        let error = consumer.client::<StreamsClient>().await.unwrap_err().to_string();
        assert!(error.contains("Streams/first, which is client-streaming"), "{error}");
        assert!(error.contains(policy), "{error}");
    }
}

#[test]
fn a_proto_file_says_which_methods_stream() {
    let proto = <StreamsClient as dubhe::ServiceClient>::DESCRIPTOR.to_proto();
    for line in [
        "rpc sum(stream StreamsSumArguments) returns (Uint64Reply);",
        "rpc double(stream StreamsDoubleArguments) returns (stream Uint64Reply);",
        "rpc count(StreamsCountArguments) returns (stream Uint64Reply)",
    ] {
        assert!(proto.contains(line), "{line} is not in\n{proto}");
    }
}
