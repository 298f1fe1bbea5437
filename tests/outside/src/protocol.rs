//! A wire protocol of one's own: a line in, a line out, both ends.
//!
//! `line` and a blank begin a request: `line shop.Stock/count [7]`. The answer is `ok` and JSON, or
//! `err`, the number of a code and a text. One call at a time and connection: a toy on the wire,
//! but everything around it is real: limits, deadlines, layers, retries, drain.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use dubhe::extend::{
    Accepted, Answer, BoxTransport, BuildContext, Changes, Channel, ConnectionShare, Extension,
    Invoke, NoConfig, Phase, Protocol, ProtocolClient, ReplyFuture, ServeFuture, Sniff, Target,
    shutting_down,
};
use dubhe::{
    Body, ChannelState, Code, Deadline, Delivery, Error, Extensions, Invocation, MethodKind, Reply,
    Status,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::shop::{self, Shop, Stock, StockClient, StockServer};

/// How long a line may be.
const LONGEST: u64 = 64 * 1024;

#[derive(Debug)]
struct Line;

impl Extension<dyn Protocol> for Line {
    const NAME: &'static str = "line";
    type Config = NoConfig;

    fn build(_: NoConfig, _: &BuildContext) -> Result<Arc<dyn Protocol>, Error> {
        Ok(Arc::new(Self))
    }
}

impl Protocol for Line {
    fn names(&self) -> &[&'static str] {
        &[Self::NAME]
    }

    fn sniff(&self, first: &[u8]) -> Sniff {
        Sniff::prefix(first, b"line ")
    }

    fn serve(&self, accepted: Accepted) -> ServeFuture {
        let peer = accepted.peer(Self::NAME);
        let Accepted { io, first, server, .. } = accepted;
        Box::pin(async move {
            let share = ConnectionShare::new(server.clone());
            let mut phase = server.watch_phase();
            let (read, mut write) = tokio::io::split(io);
            let mut lines = BufReader::new(io::Cursor::new(first).chain(read));
            loop {
                let mut line = String::new();
                let read = async { (&mut lines).take(LONGEST).read_line(&mut line).await };
                tokio::select! {
                    read = read => if read? == 0 { return Ok(()) },
                    _ = phase.wait_for(|phase| *phase >= Phase::Closing) => return Ok(()),
                }
                let answer = match invocation(&line, &share) {
                    Ok((route, mut invocation)) => {
                        invocation.peer = Some(peer.clone());
                        let now = tokio::time::Instant::now();
                        match share.begin_call() {
                            Ok(_guard) => {
                                Answer::new(route, invocation, now).until_deadline().await
                            }
                            Err(full) => Err(full),
                        }
                    }
                    Err(refused) => Err(refused),
                };
                write.write_all(&line_of(answer, &share)).await?;
            }
        })
    }

    fn turn_away(&self, mut accepted: Accepted, why: Status) -> ServeFuture {
        Box::pin(async move {
            let line = format!("err {} {}\n", why.code().number(), why.message());
            accepted.io.write_all(line.as_bytes()).await?;
            accepted.io.shutdown().await
        })
    }

    fn client(&self) -> Option<Arc<dyn ProtocolClient>> {
        Some(Arc::new(Self))
    }
}

type Called = (Arc<dubhe::extend::Route>, Invocation);

/// Reads `line PATH ARGUMENTS`.
fn invocation(line: &str, share: &ConnectionShare) -> Result<Called, Status> {
    let server = share.state();
    if server.phase() >= Phase::Refusing {
        return Err(shutting_down());
    }
    let malformed = || {
        Status::invalid_argument("write `line SERVICE/METHOD [ARGUMENTS]`")
            .with_delivery(Delivery::Refused)
    };
    let mut words = line.trim_end().splitn(3, ' ');
    let (Some("line"), Some(path), Some(arguments)) = (words.next(), words.next(), words.next())
    else {
        return Err(malformed());
    };
    let route = server.dispatcher().route(path)?.clone();
    let json = server.dispatcher().codecs().by_name("json").ok_or_else(malformed)?.clone();
    let body = Body::from_bytes(json, Bytes::copy_from_slice(arguments.as_bytes()));
    let deadline = Deadline::after(server.config().default_timeout);
    let invocation = Invocation::new(route.method().clone(), body, deadline);
    Ok((route, invocation))
}

fn line_of(answer: Result<Reply, Status>, share: &ConnectionShare) -> Vec<u8> {
    let written = answer.and_then(|reply| {
        let codecs = share.state().dispatcher().codecs();
        let json =
            codecs.by_name("json").ok_or_else(|| Status::internal("json is not supported"))?;
        let mut line = BytesMut::from(&b"ok "[..]);
        reply.body.encode(&**json, &mut line).map_err(|e| e.into_reply_status("the call"))?;
        Ok(line)
    });
    let mut line = written.unwrap_or_else(|status| {
        let (code, text) = (status.code().number(), status.message());
        BytesMut::from(format!("err {code} {text}").as_bytes())
    });
    line.extend_from_slice(b"\n");
    line.to_vec()
}

// === impl LineChannel ===

impl ProtocolClient for Line {
    fn channel(&self, target: Target) -> Arc<dyn Channel> {
        Arc::new(LineChannel(target))
    }

    fn carries(&self, kind: MethodKind) -> bool {
        kind == MethodKind::Unary
    }
}

/// Opens a connection for each call.
#[derive(Debug)]
struct LineChannel(Target);

impl Channel for LineChannel {
    fn address(&self) -> &Arc<str> {
        &self.0.address
    }

    fn state(&self) -> ChannelState {
        ChannelState::Ready
    }

    fn report_to(&self, _: &Changes) {}
}

impl Invoke for LineChannel {
    fn invoke(&self, invocation: Invocation) -> ReplyFuture {
        let target = self.0.clone();
        Box::pin(async move {
            let unsent = |error: io::Error| {
                Status::unavailable(error.to_string()).with_delivery(Delivery::NotSent)
            };
            let json = invocation.codecs.as_ref().and_then(|codecs| codecs.by_name("json"));
            let json = json.ok_or_else(|| Status::internal("json is not supported"))?.clone();
            let mut line =
                BytesMut::from(format!("line {} ", invocation.method().path()).as_bytes());
            let written = invocation.body.encode(&*json, &mut line);
            written.map_err(|error| error.into_argument_status(invocation.method().path()))?;
            line.extend_from_slice(b"\n");
            let late = || Status::deadline_exceeded("no answer").with_delivery(Delivery::MaybeSent);
            let deadline = invocation.deadline.instant();
            let io = tokio::time::timeout_at(deadline, target.dial.dial(&target.address)).await;
            let io: BoxTransport = io.map_err(|_| late())?.map_err(unsent)?;
            let answer = tokio::time::timeout_at(deadline, exchange(io, &line)).await;
            let lost = |error: io::Error| {
                Status::unavailable(error.to_string()).with_delivery(Delivery::MaybeSent)
            };
            let answer = answer.map_err(|_| late())?.map_err(lost)?;
            match answer.trim_end().split_once(' ') {
                Some(("ok", value)) => {
                    let bytes = Bytes::copy_from_slice(value.as_bytes());
                    Ok(Reply::from_body(Body::from_bytes(json, bytes)))
                }
                Some(("err", rest)) => {
                    let (code, text) = rest.split_once(' ').unwrap_or((rest, ""));
                    Err(Status::new(Code::from_number(code.parse().unwrap_or(2)), text))
                }
                _ => Err(Status::internal("the answer is not a line")),
            }
        })
    }
}

async fn exchange(mut io: BoxTransport, line: &[u8]) -> io::Result<String> {
    io.write_all(line).await?;
    let mut answer = String::new();
    BufReader::new(io).take(LONGEST).read_line(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn an_own_protocol_is_one_file_and_one_line_and_shares_the_port_with_the_others() {
    let url = "memory://line";
    let with = || Extensions::default().with_protocol::<Line>();
    let desk = Shop::new("a");
    let provider = shop::provider(url)
        .extensions(with())
        .set("provider.protocols", serde_json::json!(["line", "json"]))
        .serve(StockServer::from_arc(desk.clone()));
    let running = provider.start().await.unwrap();

    // A consumer that has it calls in it: the provider speaks no dubbo.
    let consumer = shop::consumer(url).extensions(with()).build().unwrap();
    let stock: StockClient = consumer.client().await.unwrap();
    assert_eq!(stock.count(7).await.unwrap(), "a 7");
    assert_eq!(stock.take(8).await.unwrap(), "a took 8");
    let status = consumer.dynamic(&dubhe::ServiceKey::new("shop.Nothing")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);

    // One that has it not says what it needs.
    let stranger: StockClient = shop::consumer(url).build().unwrap().client().await.unwrap();
    let status = stranger.count(1).await.unwrap_err();
    assert!(status.message().contains("they speak only json and line"), "{status}");

    // By hand, in a few pieces, beside HTTP on the same port.
    let mut peer = tokio::net::TcpStream::connect(running.local_addr()).await.unwrap();
    for piece in ["li", "ne shop.Stock/co", "unt [9]\nline shop.Stock/gone []\n"] {
        peer.write_all(piece.as_bytes()).await.unwrap();
    }
    let mut answers = BufReader::new(&mut peer).lines();
    assert_eq!(answers.next_line().await.unwrap().unwrap(), r#"ok {"value":"a 9"}"#);
    let refused = answers.next_line().await.unwrap().unwrap();
    assert!(refused.starts_with("err 12 service shop.Stock has no method `gone`"), "{refused}");
    let mut http = tokio::net::TcpStream::connect(running.local_addr()).await.unwrap();
    let request = "POST /shop.Stock/count HTTP/1.1\r\nhost: localhost\r\ncontent-length: 4\r\n\
                   connection: close\r\n\r\n[10]";
    http.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with(r#"{"value":"a 10"}"#),
        "{answer}"
    );
    assert_eq!(desk.executed(), 4);
    running.shutdown().await;
}

#[tokio::test]
async fn an_own_protocol_that_is_not_chosen_is_turned_away_in_its_own_words() {
    let with = Extensions::default().with_protocol::<Line>();
    let server = StockServer::from_arc(Shop::new("a"));
    let running =
        shop::provider("memory://line-off").extensions(with).serve(server).start().await.unwrap();
    let mut peer = tokio::net::TcpStream::connect(running.local_addr()).await.unwrap();
    peer.write_all(b"line shop.Stock/count [1]\n").await.unwrap();
    let mut told = String::new();
    peer.read_to_string(&mut told).await.unwrap();
    assert_eq!(told, "err 12 line is not served on this port; add it to `provider.protocols`\n");
    running.shutdown().await;
}
