"""Holds one message of types.proto against stock Python protobuf.

usage: exchange.py FOLDER MESSAGE, where FOLDER holds types.proto, ours.pb and ours.json as Dubhe wrote
them. Compiles the .proto, reads both forms and compares them, and writes the message back: python.pb,
and python.json where JSON is protobuf's own mapping.
"""

import importlib
import pathlib
import sys

from google.protobuf import json_format, unknown_fields
from grpc_tools import protoc
import grpc_tools

folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
arguments = ["protoc", f"-I{folder}", f"-I{well_known}", f"--python_out={folder}", str(folder / "types.proto")]
if protoc.main(arguments) != 0:
    sys.exit("protoc rejects the .proto that the descriptor printed")
sys.path.insert(0, str(folder))
module = importlib.import_module("types_pb2")


def same(left, right, what):
    if left != right:
        sys.exit(f"{what}: {left!r} is not {right!r}")


message = getattr(module, name)()
message.ParseFromString((folder / "ours.pb").read_bytes())
same(len(unknown_fields.UnknownFieldSet(message)), 0, "unknown fields")

if name == "Times":
    text = json_format.Parse((folder / "ours.json").read_text("utf-8"), module.Times())
    same(message, text, "protobuf and JSON")
    same(message.wait.ToMilliseconds(), 1_500, "wait")
    same(message.since.ToJsonString(), "2024-02-29T12:00:00.250Z", "since")
    same(message.HasField("maybe_wait"), True, "presence of maybe_wait")
    same(message.points[0].ToJsonString(), "1969-12-31T23:59:59.999999Z", "before 1970")
    same(message.points[2].ToJsonString(), "0001-01-01T00:00:00Z", "the first point of time")
    (folder / "python.json").write_text(json_format.MessageToJson(message), "utf-8")

if name == "Nested":
    same([option.HasField("value") for option in message.options], [True, False, True], "options")
    same([list(inner.value) for inner in message.lists], [[1, -1], [], [0]], "lists")
    same(message.HasField("maybe_list"), True, "presence of maybe_list")
    same(list(message.array.value), [0.0, 0.5, -1.0], "array")
    same(message.id, b"\x00\x00\x00\xff", "id")
    same((message.pair.first, message.pair.second), ("x", 5), "pair")
    same(message.pairs[0].HasField("first"), False, "absence in a tuple")
    same(message.lists_by_name["a"].value[0].display_name, "a", "lists_by_name")

if name == "Foreign":
    text = json_format.Parse((folder / "ours.json").read_text("utf-8"), module.Foreign())
    same(message, text, "protobuf and JSON")
    same(json_format.MessageToDict(message.any)["a"], [1.0, -2.5, "x", True, None, {}], "any")
    (folder / "python.json").write_text(json_format.MessageToJson(message), "utf-8")

if name == "Keys":
    same(dict(message.amounts), {0: 1, 5: 2}, "amounts")

(folder / "python.pb").write_bytes(message.SerializeToString())
