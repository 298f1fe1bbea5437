//! The consumer's end: says everything in each codec, and compares what comes back.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use dubhe::prelude::*;
use dubhe::{Code, Delivery};

use crate::BoxError;
use crate::api::{Choice, Everything, Probe, ProbeClient, Refusal};

const CODECS: [&str; 3] = ["protobuf", "msgpack", "json"];

/// Holds the provider at `address` to everything that travels.
pub(crate) async fn run(address: &str) -> Result<(), BoxError> {
    let address = format!("static://{address}");
    let client = ProbeClient::connect(&address).await?;
    for codec in CODECS {
        let client = client.with(CallOptions::new().codec(codec).timeout(Duration::from_secs(10)));
        converse(&client, &address).await.map_err(|error| format!("in {codec}: {error}"))?;
    }
    println!("all of it arrived");
    Ok(())
}

async fn converse(client: &ProbeClient, address: &str) -> Result<(), BoxError> {
    for sent in [everything(3), everything(0)] {
        is("a value", &client.echo(sent.clone()).await?, &sent)?;
    }
    is("a large text", &client.text_of(1 << 20).await?.len(), &(1 << 20))?;
    errors(client, address).await?;

    let options = CallOptions::new().metadata("who", "me").metadata("raw-bin", vec![0, 1, 255]);
    let beside = client.with(options).beside().await?.join(" ");
    for part in ["who=", "me", "raw-bin="] {
        is(&format!("`{part}` in {beside}"), &beside.contains(part), &true)?;
    }

    client.note("seen".to_owned()).await?;
    // A one-way call has no answer to wait for.
    while client.noted().await?.as_deref() != Some("seen") {
        tokio::task::yield_now().await;
    }
    client.note(String::new()).await?;
    while client.noted().await?.as_deref() != Some("") {
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Failures by value, by status, by deadline and by a call further on.
async fn errors(client: &ProbeClient, address: &str) -> Result<(), BoxError> {
    let missing = Refusal::Missing("it".to_owned());
    let short = Refusal::Short { what: "it".to_owned(), by: u64::MAX };
    is("a refusal", &client.refuse(0).await, &Err(missing))?;
    is("a refusal with a number", &client.refuse(u64::MAX).await, &Err(short))?;

    let Err(failed) = client.fail().await else { return Err("`fail` succeeded".into()) };
    let seen = (failed.code(), failed.message(), failed.delivery());
    is("a status", &seen, &(Code::AlreadyExists, "as you asked", Delivery::Answered))?;

    let brief = client.with(CallOptions::new().timeout(Duration::from_millis(50)));
    let Err(late) = brief.hang().await else { return Err("`hang` came back".into()) };
    is("a deadline", &late.code(), &Code::DeadlineExceeded)?;
    let Err(nested) = brief.lean(address.to_owned()).await else {
        return Err("`lean` succeeded".into());
    };
    is("a deadline further on", &nested.code(), &Code::DeadlineExceeded)?;
    let nowhere = client.lean("static://127.0.0.1:1".to_owned()).await;
    let Err(nested) = nowhere else { return Err("`lean` on nobody succeeded".into()) };
    is("the call that failed in truth", &nested.origin(), &Some("peer.Probe/hang"))?;
    Ok(())
}

fn everything(depth: u32) -> Everything {
    Everything {
        flag: depth > 0,
        small: -7,
        large: u64::MAX,
        negative: i64::MIN,
        ratio: 0.1,
        text: "täxt \u{0} \"quoted\"".to_owned(),
        bytes: vec![0, 128, 255],
        maybe: depth.is_multiple_of(2).then(|| "there".to_owned()),
        list: (0..depth).collect(),
        texts: BTreeMap::from([("a".to_owned(), -1), ("b".to_owned(), i64::MAX)]),
        nested: depth.checked_sub(1).map(|depth| Box::new(everything(depth))),
        choice: match depth % 3 {
            0 => Choice::Nothing,
            1 => Choice::Number(1 << 60),
            _ => Choice::Pair { left: "l".to_owned(), right: String::new() },
        },
    }
}

fn is<T: PartialEq + Debug>(what: &str, seen: &T, wanted: &T) -> Result<(), BoxError> {
    match seen == wanted {
        true => Ok(()),
        false => Err(format!("{what}: {seen:?}, not {wanted:?}").into()),
    }
}
