"""Reads and writes again, by stock Python protobuf and msgpack, what Dubhe wrote.

usage: differential.py FOLDER, which holds service.proto and bodies behind their lengths: protobuf,
json and msgpack are the same messages in three forms, damaged is protobuf that may be none. Each
FORM.python has what Python made of them; those of damaged begin with 1 if they could be read.
"""

import importlib
import pathlib
import random
import struct
import sys

import msgpack
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from grpc_tools import protoc

folder = pathlib.Path(sys.argv[1])
if protoc.main(["protoc", f"-I{folder}", f"--python_out={folder}", str(folder / "service.proto")]) != 0:
    sys.exit("protoc rejects the .proto that the descriptor printed")
sys.path.insert(0, str(folder))
module = importlib.import_module("service_pb2")
dice = random.Random(7)


def bodies(name):
    data, at = (folder / name).read_bytes(), 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def put(name, all_bodies):
    with open(folder / f"{name}.python", "wb") as file:
        for body in all_bodies:
            file.write(struct.pack("<I", len(body)))
            file.write(body)


def shuffled(value):
    """The same value, with the keys of maps in another order."""
    if isinstance(value, dict):
        keys = list(value)
        dice.shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}
    if isinstance(value, list):
        return [shuffled(item) for item in value]
    return value


binary, text = [], []
for number, (proto, json) in enumerate(zip(bodies("protobuf"), bodies("json"), strict=True)):
    message = module.Everything.FromString(proto)
    parsed = json_format.Parse(json.decode("utf-8"), module.Everything())
    if message != parsed:
        sys.exit(f"message {number}: its protobuf and its JSON are not the same to Python")
    binary.append(message.SerializeToString())
    options = {
        "preserving_proto_field_name": dice.random() < 0.5,
        "use_integers_for_enums": dice.random() < 0.5,
        "always_print_fields_with_no_presence": dice.random() < 0.5,
        "indent": dice.choice([None, 2]),
    }
    text.append(json_format.MessageToJson(message, **options).encode("utf-8"))
put("protobuf", binary)
put("json", text)
put("msgpack", (msgpack.packb(shuffled(msgpack.unpackb(body, strict_map_key=False))) for body in bodies("msgpack")))


def read(body):
    try:
        return b"\x01" + module.Common.FromString(body).SerializeToString()
    except DecodeError:
        return b"\x00"


put("damaged", map(read, bodies("damaged")))
