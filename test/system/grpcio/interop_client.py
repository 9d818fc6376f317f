"""Calls the scripted grpc-js server of the tests and prints what came of each call as one JSON object a line.

    interop_client.py <target>
"""

import json
import sys

import grpc

LARGE = 4 * 1024 * 1024
EVERY_BYTE = bytes(range(256))
channel = grpc.insecure_channel(
    sys.argv[1], options=[("grpc.max_receive_message_length", 16 * 1024 * 1024), ("grpc.default_authority", "researcher")]
)


def report(name, **facts):
    print(json.dumps({"name": name, **facts}), flush=True)


def path(method):
    return "/interop.Test/" + method


unary = channel.unary_unary(path("Unary"))

metadata = (("x-many", "one"), ("x-many", "two"), ("x-every-bin", EVERY_BYTE), ("x-two-bin", b"\x01"), ("x-two-bin", b""))
answer, call = unary.with_call(b"metadata", metadata=metadata, timeout=30, compression=grpc.Compression.Gzip)
trailing = dict(call.trailing_metadata())
report(
    "metadata",
    answer=answer.decode(),
    initial=dict(call.initial_metadata()).get("x-initial"),
    trailing=trailing.get("x-trailing"),
    binary=trailing.get("x-back-bin") == EVERY_BYTE,
)

large = EVERY_BYTE * (LARGE // 256)
report("large", same=unary(large, timeout=60) == large)

report("collect", answer=channel.stream_unary(path("Collect"))(iter([b"a", b"b", b"c"]), timeout=30).decode())
report("list", answers=[each.decode() for each in channel.unary_stream(path("List"))(b"5", timeout=30)])
report("chat", answers=[each.decode() for each in channel.stream_stream(path("Chat"))(iter([b"x", b"y"]), timeout=30)])

try:
    unary(b"fail", timeout=30)
except grpc.RpcError as error:
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
    report("fail", code=error.code().name, text=error.details(), details=list(details or b""))

try:
    unary(b"deadline", timeout=0.5)
except grpc.RpcError as error:
    report("deadline", code=error.code().name)

stream = channel.unary_stream(path("List"))(b"endless", timeout=60)
first = next(stream).decode()
stream.cancel()
try:
    for _ in stream:
        pass
except grpc.RpcError as error:
    report("cancel", first=first, code=error.code().name)
