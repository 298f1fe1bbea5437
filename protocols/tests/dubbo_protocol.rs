//! The dubbo protocol over real sockets: calls, failures, limits, cancellation, drain.

#![allow(clippy::unwrap_used, reason = "the whole file is a test")]

mod support;

use std::time::Duration;

use rpc_core::client::ClientConfig;
use rpc_core::server::ServerConfig;
use rpc_core::{ChannelState, Code, Delivery, Invocation, ServiceKey};
use support::{ECHO, FAIL, HANG, LARGE, PANIC, SLOW_ECHO, Text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn many_calls_share_one_connection_and_each_gets_its_own_answer() {
    let provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    assert_eq!(channel.state(), ChannelState::Idle);
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..64 {
        let channel = channel.clone();
        tasks.spawn(async move {
            for number in 0..100 {
                let text = format!("{caller}/{number}");
                let method = if number % 3 == 0 { SLOW_ECHO } else { ECHO };
                let answer = support::call(&channel, method, &text, LONG).await.unwrap();
                assert_eq!(answer, text);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(channel.state(), ChannelState::Ready);
}

#[tokio::test]
async fn a_panic_is_an_internal_answer_and_the_connection_goes_on() {
    let provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    let status = support::call(&channel, PANIC, "x", LONG).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::Internal, Delivery::Answered));
    assert!(status.message().contains("Test/panic panicked"), "{status}");
    let status = support::call(&channel, FAIL, "no such thing", LONG).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "no such thing"));
    assert_eq!(support::call(&channel, ECHO, "still here", LONG).await.unwrap(), "still here");
}

#[tokio::test]
async fn a_deadline_ends_the_call_at_both_ends() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    support::call(&channel, ECHO, "warm", LONG).await.unwrap();
    let began = Instant::now();
    let status = support::call(&channel, HANG, "", Duration::from_millis(300)).await.unwrap_err();
    let took = began.elapsed();
    assert_eq!((status.code(), status.delivery()), (Code::DeadlineExceeded, Delivery::MaybeSent));
    assert!((295..400).contains(&took.as_millis()), "{took:?}");
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    let dropped = tokio::time::timeout(Duration::from_secs(1), provider.events.recv());
    assert_eq!(dropped.await.unwrap().unwrap(), "dropped");
}

#[tokio::test]
async fn a_provider_ends_a_call_at_its_deadline_without_a_word_of_its_caller() {
    let config = ServerConfig { default_timeout: LONG, ..ServerConfig::default() };
    let mut provider = support::provider(config).await;
    let mut peer = TcpStream::connect(provider.address).await.unwrap();
    // Flags, path, 100,000 microseconds.
    let body = [&[1, 9][..], b"Test/hang", &[0xa0, 0x8d, 0x06]].concat();
    let length = (body.len() as u32).to_be_bytes();
    let request = [&[0xda, 0xbb, 0xcd, 0][..], &3_u64.to_be_bytes(), &length, &body].concat();
    peer.write_all(&request).await.unwrap();
    let ended = async {
        assert_eq!(provider.events.recv().await.unwrap(), "started");
        assert_eq!(provider.events.recv().await.unwrap(), "dropped");
        support::answer(&mut peer).await
    };
    let ended = tokio::time::timeout(LONG / 4, ended).await;
    let (status, id, body) = ended.expect("its deadline is past");
    // Answered: deadline_exceeded.
    assert_eq!((status, id, &body[..2]), (20, 3, &[1, 4][..]));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed_unless_a_call_runs() {
    let config =
        ServerConfig { idle_timeout: Duration::from_millis(200), ..ServerConfig::default() };
    let mut provider = support::provider(config).await;
    let mut busy = TcpStream::connect(provider.address).await.unwrap();
    busy.write_all(&support::frame(1, false, HANG, "x")).await.unwrap();
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    // When the second is closed, the first has been silent for twice the time at least.
    for _ in 0..2 {
        let mut idle = TcpStream::connect(provider.address).await.unwrap();
        idle.write_all(&support::frame(2, false, ECHO, "")).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(LONG, idle.read_to_end(&mut answer));
        closed.await.expect("it is closed").unwrap();
        assert!(answer.len() > 16, "it was answered before");
    }
    provider.release.notify_one();
    let answer = tokio::time::timeout(LONG, support::answer(&mut busy)).await;
    assert_eq!(answer.expect("it is answered").1, 1);
}

#[tokio::test]
async fn dropping_a_call_drops_the_handler() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    let call = tokio::spawn({
        let channel = channel.clone();
        async move { support::call(&channel, HANG, "", LONG).await }
    });
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    call.abort();
    let dropped = tokio::time::timeout(Duration::from_secs(1), provider.events.recv());
    assert_eq!(dropped.await.unwrap().unwrap(), "dropped");
    assert_eq!(support::call(&channel, ECHO, "next", LONG).await.unwrap(), "next");
}

#[tokio::test]
async fn payloads_at_the_limit_pass_and_one_byte_more_is_refused_by_name() {
    let server = ServerConfig { payload: 100_000, ..ServerConfig::default() };
    let provider = support::provider(server).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    // Before the text stand one byte of flags, the path with its length, and the timeout; a
    // consumer says when it sends besides, in more or fewer bytes.
    let overhead = 1 + 1 + "Test/echo".len() + 4;
    let mut peer = TcpStream::connect(provider.address).await.unwrap();
    for (more, kind) in [(0, 0), (1, 2)] {
        let text = "x".repeat(100_000 - overhead + more);
        peer.write_all(&support::frame(more as u64, false, ECHO, &text)).await.unwrap();
        let (_, _, body) = support::answer(&mut peer).await;
        assert_eq!((body[0], body.len() == text.len() + 1), (kind, kind == 0), "{more} more");
    }
    let status = support::call(&channel, ECHO, &"x".repeat(100_001), LONG).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::InvalidArgument, Delivery::Refused));
    assert!(status.message().contains("Data length too large"), "{status}");
    assert!(status.message().contains("`provider.limits.payload`"), "{status}");
    let status = support::call(&channel, LARGE, "200000", LONG).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("`provider.limits.payload`"), "{status}");
    assert_eq!(support::call(&channel, ECHO, "usable", LONG).await.unwrap(), "usable");
}

#[tokio::test]
async fn the_consumer_has_limits_of_its_own() {
    let provider = support::provider(ServerConfig::default()).await;
    let config = ClientConfig { payload: 1000, in_flight: 1, ..ClientConfig::default() };
    let connector = support::connector(config);
    let channel = support::channel(&connector, provider.address);
    let status = support::call(&channel, ECHO, &"x".repeat(1001), LONG).await.unwrap_err();
    assert_eq!((status.code(), status.delivery()), (Code::InvalidArgument, Delivery::NotSent));
    assert!(status.message().contains("`consumer.limits.payload`"), "{status}");
    let status = support::call(&channel, LARGE, "5000", LONG).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("`consumer.limits.payload`"), "{status}");
    let hanging = channel.invoke(support::invocation(HANG, "", LONG));
    let hanging = tokio::spawn(hanging);
    let mut events = provider.events;
    assert_eq!(events.recv().await.unwrap(), "started");
    let status = support::call(&channel, ECHO, "second", LONG).await.unwrap_err();
    assert!(status.message().contains("`consumer.limits.in_flight`"), "{status}");
    hanging.abort();
}

#[tokio::test]
async fn what_waits_to_be_written_has_a_limit_of_the_consumers_own() {
    let stuck = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = support::connector(ClientConfig { queued: 500_000, ..Default::default() });
    let channel = support::channel(&connector, stuck.local_addr().unwrap());
    // More than the sockets take.
    let large =
        tokio::spawn(channel.invoke(support::invocation(ECHO, &"x".repeat(8_000_000), LONG)));
    let _peer = stuck.accept().await.unwrap();
    let (mut waiting, mut refused) = (Vec::new(), None);
    for _ in 0..100 {
        let text = "x".repeat(100_000);
        let call = tokio::spawn(channel.invoke(support::invocation(ECHO, &text, LONG)));
        tokio::time::sleep(Duration::from_millis(1)).await;
        if call.is_finished() {
            refused = call.await.unwrap().err();
            break;
        }
        waiting.push(call);
    }
    let status = refused.expect("all of them were taken");
    assert_eq!((status.code(), status.delivery()), (Code::ResourceExhausted, Delivery::NotSent));
    assert!(status.message().contains("`consumer.limits.queued`"), "{status}");
    waiting.iter().chain([&large]).for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_drain_tells_consumers_serves_what_runs_and_refuses_what_is_new() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    let running = tokio::spawn(channel.invoke(support::invocation(HANG, "old", LONG)));
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    provider.server.announce_drain();
    let told = async {
        while channel.state() != ChannelState::Draining {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, told).await.expect("the consumer is told");
    assert_eq!(support::call(&channel, ECHO, "late", LONG).await.unwrap(), "late");
    let drain = tokio::spawn(provider.server.drain(Duration::ZERO, LONG));
    let status = loop {
        match support::call(&channel, ECHO, "too late", LONG).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(status) => break status,
        }
    };
    assert_eq!((status.code(), status.delivery()), (Code::Unavailable, Delivery::Refused));
    provider.release.notify_one();
    running.await.unwrap().unwrap();
    let report = drain.await.unwrap();
    assert_eq!((report.cut_calls, report.cut_connections), (0, 0));
}

#[tokio::test]
async fn heartbeats_of_real_dubbo_peers_are_answered_in_their_form() {
    let provider = support::provider(ServerConfig::default()).await;
    let mut peer = TcpStream::connect(provider.address).await.unwrap();
    let request = [0xda, 0xbb, 0xe2, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0x4e];
    for byte in request {
        peer.write_all(&[byte]).await.unwrap();
    }
    let mut answer = [0; 17];
    let read = tokio::time::timeout(LONG, peer.read_exact(&mut answer));
    read.await.expect("it is answered").unwrap();
    assert_eq!(answer, [0xda, 0xbb, 0x22, 20, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0x4e]);
}

#[tokio::test]
async fn a_serialization_that_is_not_spoken_is_answered_by_name() {
    let provider = support::provider(ServerConfig::default()).await;
    let mut peer = TcpStream::connect(provider.address).await.unwrap();
    let request = [0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0x4e];
    peer.write_all(&request).await.unwrap();
    let mut head = [0; 16];
    peer.read_exact(&mut head).await.unwrap();
    assert_eq!((head[2], head[3], head[11]), (2, 40, 7));
    let mut text = vec![0; head[15] as usize];
    peer.read_exact(&mut text).await.unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("serialization id 2 is not supported here, available: plain"), "{text}");
}

#[tokio::test]
async fn garbage_closes_its_own_connection_only() {
    let config = ServerConfig {
        sniff_timeout: Duration::from_millis(100),
        header_timeout: Duration::from_millis(200),
        ..ServerConfig::default()
    };
    let provider = support::provider(config).await;
    let address = provider.address;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, address);
    support::call(&channel, ECHO, "before", LONG).await.unwrap();
    let negative = [&[0xda, 0xbb, 0xcd, 0][..], &[0; 8], &[0xff; 4]].concat();
    let second_bad = [&[0xda, 0xbb, 0xed, 0][..], &[0; 12], b"nonsense"].concat();
    let unfinished = [&[0xda, 0xbb, 0xcd, 0][..], &[0; 11], &[9, 1]].concat();
    for bytes in [&b"hello\r\n"[..], &[0xda], &negative, &second_bad, &unfinished, b""] {
        let mut peer = TcpStream::connect(address).await.unwrap();
        peer.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(5), peer.read_to_end(&mut rest));
        // A reset is as good as an end.
        let _ = closed.await.expect("the provider closes the connection");
    }
    assert_eq!(support::call(&channel, ECHO, "after", LONG).await.unwrap(), "after");
}

#[tokio::test]
async fn a_missing_service_or_method_is_refused_with_what_there_is() {
    let provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    for (path, expected, is_service) in [
        (("Other", "echo"), "no service `Other` here, available: Test", true),
        (("Test", "ecko"), "service Test has no method `ecko`, available: echo, fail", false),
    ] {
        let key = ServiceKey::new(path.0);
        let method = rpc_core::Method::new(key, path.1, rpc_core::MethodKind::Unary, true);
        let body = rpc_core::Body::typed(Text::default());
        let deadline = rpc_core::Deadline::after(LONG);
        let mut invocation = Invocation::new(method.into(), body, deadline);
        invocation.codecs = Some(support::codecs());
        let status = channel.invoke(invocation).await.unwrap_err();
        assert_eq!((status.code(), status.delivery()), (Code::Unimplemented, Delivery::Refused));
        assert!(status.message().starts_with(expected), "{status}");
        assert_eq!(status.is_service_missing(), is_service, "{status}");
        // A handler that passes on what another provider answered says nothing of its own service.
        assert!(!status.with_delivery(Delivery::Answered).is_service_missing());
    }
}

#[tokio::test]
async fn metadata_over_its_limits_is_refused_before_it_is_sent() {
    let provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    let many = (0..129).map(|n| (n.to_string(), String::new())).collect();
    let long = [("key".to_owned(), "x".repeat(20_000))].into_iter().collect();
    for metadata in [many, long] {
        let mut invocation = support::invocation(ECHO, "", LONG);
        invocation.metadata = metadata;
        let status = channel.invoke(invocation).await.unwrap_err();
        assert_eq!((status.code(), status.delivery()), (Code::InvalidArgument, Delivery::NotSent));
        assert!(status.message().contains("more than the limits of 128 and 16384"), "{status}");
    }
}

#[tokio::test]
async fn handlers_end_with_their_connection_also_when_the_server_is_dropped() {
    let mut provider = support::provider(ServerConfig::default()).await;
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    let call = tokio::spawn(channel.invoke(support::invocation(HANG, "", LONG)));
    assert_eq!(provider.events.recv().await.unwrap(), "started");
    drop(provider.server);
    let dropped = tokio::time::timeout(Duration::from_secs(1), provider.events.recv());
    assert_eq!(dropped.await.unwrap().unwrap(), "dropped");
    call.await.unwrap().unwrap_err();
}

/// Starts a one-way call of the method that hangs, and closes its connection once it has begun.
async fn one_way_without_connection(provider: &mut support::Provider) {
    let connector = support::connector(ClientConfig::default());
    let channel = support::channel(&connector, provider.address);
    let key = ServiceKey::new("Test");
    let method = rpc_core::Method::new(key, "hang", rpc_core::MethodKind::OneWay, false);
    let body = rpc_core::Body::typed(Text::default());
    let deadline = rpc_core::Deadline::after(LONG);
    let mut invocation = Invocation::new(method.into(), body, deadline);
    invocation.codecs = Some(support::codecs());
    channel.invoke(invocation).await.unwrap();
    assert_eq!(provider.events.recv().await.unwrap(), "started");
}

#[tokio::test]
async fn a_one_way_call_goes_on_without_its_connection_and_a_drain_waits_for_it() {
    let mut provider = support::provider(ServerConfig::default()).await;
    one_way_without_connection(&mut provider).await;
    let address = provider.address;
    let drain = tokio::spawn(provider.server.drain(Duration::ZERO, LONG));
    while TcpStream::connect(address).await.is_ok() {}
    assert!(!drain.is_finished(), "nobody waits for it");
    provider.release.notify_one();
    assert_eq!(drain.await.unwrap().cut_calls, 0);
    assert!(provider.events.try_recv().is_err(), "it was not run to its end");
}

#[tokio::test]
async fn a_one_way_call_ends_with_its_server() {
    let mut provider = support::provider(ServerConfig::default()).await;
    one_way_without_connection(&mut provider).await;
    drop(provider.server);
    let dropped = tokio::time::timeout(Duration::from_secs(1), provider.events.recv());
    assert_eq!(dropped.await.unwrap().unwrap(), "dropped");
}
