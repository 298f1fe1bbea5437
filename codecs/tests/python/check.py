"""Holds our protobuf and JSON against stock Python protobuf.

usage: check.py FOLDER, which holds service.proto, everything.pb and everything.json as Dubhe wrote
them. Compiles the .proto, reads both forms, compares them, and writes them back as Python does.
"""

import importlib
import math
import pathlib
import sys

from google.protobuf import json_format, unknown_fields
from grpc_tools import protoc

folder = pathlib.Path(sys.argv[1])
if protoc.main(["protoc", f"-I{folder}", f"--python_out={folder}", str(folder / "service.proto")]) != 0:
    sys.exit("protoc rejects the .proto that the descriptor printed")
sys.path.insert(0, str(folder))
module = importlib.import_module("service_pb2")


def same(left, right, what):
    if left != right:
        sys.exit(f"{what}: {left!r} is not {right!r}")


binary = module.Everything()
binary.ParseFromString((folder / "everything.pb").read_bytes())
text = json_format.Parse((folder / "everything.json").read_text("utf-8"), module.Everything())
same(binary, text, "protobuf and JSON")
same(len(unknown_fields.UnknownFieldSet(binary)), 0, "unknown fields")

same(binary.flag, True, "flag")
same(binary.tiny, -128, "tiny")
same(binary.large, -(2**63), "large")
same(binary.large_unsigned, 2**64 - 1, "large_unsigned")
same(binary.raw, b"\x00\x01\xfe\xff", "raw")
same(binary.outcome, module.Outcome.WENT_WRONG, "outcome")
same(binary.choice.WhichOneof("kind"), "point", "choice")
same(math.copysign(1, binary.choice.point.x), -1.0, "minus zero")
same(binary.HasField("maybe_number"), True, "presence of maybe_number")
same(binary.HasField("maybe_text"), True, "presence of maybe_text")
same(binary.back.HasField("maybe_number"), False, "absence of maybe_number")
same(list(binary.numbers), [0, -1, 127, 128, 2**31 - 1], "numbers")
same([choice.WhichOneof("kind") for choice in binary.choices], ["nothing", "number", "inner", "point"], "choices")
same(dict(binary.by_number), {-1: 0.5, 0: 0.0}, "by_number")
same(binary.by_name["k"].display_name, "Ada L\u00f6w", "by_name")
same(module.DESCRIPTOR.services_by_name["Checked"].methods_by_name["echo"].input_type.name, "Everything", "input")

(folder / "python.pb").write_bytes(binary.SerializeToString())
(folder / "python.json").write_text(json_format.MessageToJson(binary), "utf-8")
names = json_format.MessageToJson(binary, preserving_proto_field_name=True, use_integers_for_enums=True)
(folder / "python_names.json").write_text(names, "utf-8")
full = json_format.MessageToJson(binary, always_print_fields_with_no_presence=True, indent=None)
(folder / "python_full.json").write_text(full, "utf-8")
