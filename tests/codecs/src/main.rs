//! Writes or reads one message again and again, by a codec of ours or by the plain crate of its
//! format on an equal struct.
//!
//! `dubhe-codec-cost ours|plain protobuf|msgpack|json CELL encode|decode ROUNDS`
//!
//! The bytes of both are compared first. Two runs with different numbers of rounds differ by the
//! cost of rounds alone; `cargo xtask bench codecs` counts that under callgrind.

mod messages;
mod plain;
mod proto;

use std::hint::black_box;
use std::process::ExitCode;

use bytes::{Bytes, BytesMut};
use rpc_core::codec::Limits;
use rpc_core::message::Message;
use rpc_core::{Codec, Params};
use serde::Serialize;
use serde::de::DeserializeOwned;

const USAGE: &str = "usage: dubhe-codec-cost ours|plain protobuf|msgpack|json \
                     fields|messages|numbers|map|bytes encode|decode ROUNDS";

/// What goes wrong: a message for a person.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dubhe-codec-cost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), BoxError> {
    let [whose, codec, cell, direction, rounds] = arguments else { return Err(USAGE.into()) };
    let load = Load {
        is_ours: whose == "ours",
        is_encode: direction == "encode",
        is_unordered: codec == "protobuf" && cell == "map",
        rounds: rounds.parse()?,
    };
    match &**cell {
        "fields" => load.run(codec, messages::fields(), plain::fields(), proto::fields()),
        "messages" => load.run(codec, messages::several(), plain::several(), proto::several()),
        "numbers" => load.run(codec, messages::numbers(), plain::numbers(), proto::numbers()),
        "map" => load.run(codec, messages::map(), plain::map(), proto::map()),
        "bytes" => load.run(codec, messages::bytes(), plain::bytes(), proto::bytes()),
        _ => Err(USAGE.into()),
    }
}

/// What is done how often.
#[derive(Clone, Copy)]
struct Load {
    is_ours: bool,
    is_encode: bool,
    is_unordered: bool,
    rounds: usize,
}

impl Load {
    fn run<O, P, B>(self, codec: &str, ours: O, plain: P, proto: B) -> Result<(), BoxError>
    where
        O: Message + Default + PartialEq,
        P: Serialize + DeserializeOwned,
        B: prost::Message + Default,
    {
        let built = codecs::builtin().build(codec, Params::new())?;
        let mut expected = BytesMut::new();
        built.encode(&ours, &mut expected)?;
        let expected = expected.freeze();
        let mut read = O::default();
        built.decode(expected.clone(), &mut read, &mut Limits::default())?;
        if read != ours {
            return Err(format!("{codec} reads another value than was written").into());
        }
        match codec {
            "protobuf" => {
                let write = |buf: &mut BytesMut| Ok(proto.encode(buf)?);
                self.measure(&*built, &ours, expected, write, |bytes| Ok(B::decode(bytes)?))
            }
            "msgpack" => {
                let write = |buf: &mut BytesMut| {
                    let mut writer = bytes::BufMut::writer(buf);
                    Ok(rmp_serde::encode::write_named(&mut writer, &plain)?)
                };
                let read = |bytes: Bytes| Ok(rmp_serde::from_slice::<P>(&bytes)?);
                self.measure(&*built, &ours, expected, write, read)
            }
            _ => {
                let write = |buf: &mut BytesMut| {
                    Ok(serde_json::to_writer(bytes::BufMut::writer(buf), &plain)?)
                };
                let read = |bytes: Bytes| Ok(serde_json::from_slice::<P>(&bytes)?);
                self.measure(&*built, &ours, expected, write, read)
            }
        }
    }

    fn measure<O: Message + Default, T>(
        self,
        codec: &dyn Codec,
        ours: &O,
        expected: Bytes,
        write: impl Fn(&mut BytesMut) -> Result<(), BoxError>,
        read: impl Fn(Bytes) -> Result<T, BoxError>,
    ) -> Result<(), BoxError> {
        let mut buf = BytesMut::new();
        write(&mut buf)?;
        // Of prost's map the order is another in each run.
        let is_same = buf == expected || self.is_unordered && buf.len() == expected.len();
        if !is_same {
            return Err("the bytes differ from those of the plain crate".into());
        }
        for _ in 0..self.rounds {
            match (self.is_ours, self.is_encode) {
                (true, true) => {
                    buf.clear();
                    codec.encode(black_box(ours), &mut buf)?;
                }
                (false, true) => {
                    buf.clear();
                    write(black_box(&mut buf))?;
                }
                (true, false) => {
                    let mut message = O::default();
                    let bytes = black_box(expected.clone());
                    codec.decode(bytes, &mut message, &mut Limits::default())?;
                    black_box(message);
                }
                (false, false) => drop(black_box(read(black_box(expected.clone()))?)),
            }
        }
        Ok(())
    }
}
