"""Makes every kind of call and prints what came of each as one JSON object a line, or one endless stream.

    client.py <target> all
    client.py <target> stream      prints "streaming" after the first message, then how the stream ended
"""

import json
import sys
import time

import grpc

target, what = sys.argv[1:3]
channel = grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", 32 * 1024 * 1024)])


def report(name, **facts):
    print(json.dumps({"name": name, **facts}), flush=True)


def path(method):
    return "/test.Bytes/" + method


def status_of(error):
    return {"code": error.code().name, "details": error.details()}


def all_kinds():
    echo = channel.unary_unary(path("Echo"))
    response, call = echo.with_call(
        b"hello", timeout=10, metadata=(("x-first", "one"), ("x-some-bin", bytes(range(256))))
    )
    first = dict(call.initial_metadata())
    last = dict(call.trailing_metadata())
    report(
        "unary",
        response=response.decode(),
        first=first.get("x-first"),
        last=last.get("x-last"),
        binary=last.get("x-back-bin") == bytes(range(256)),
    )

    large = bytes(range(256)) * 12 * 1024
    report("large", same=echo(large, timeout=30) == large, length=len(large))

    received = [int(number) for number in channel.unary_stream(path("Count"))(b"1000", timeout=30)]
    report("server streaming", same=received == list(range(1000)))

    joined = channel.stream_unary(path("Collect"))(iter([b"a", b"b", b"c"]), timeout=10)
    report("client streaming", response=joined.decode())

    answers = [answer.decode() for answer in channel.stream_stream(path("Chat"))(iter([b"x", b"y"]), timeout=10)]
    report("both ways", answers=answers)

    try:
        channel.unary_unary(path("Fail"))(b"please", timeout=10)
    except grpc.RpcError as error:
        report("status", **status_of(error))

    try:
        channel.unary_unary(path("Nowhere"))(b"", timeout=10)
    except grpc.RpcError as error:
        report("unimplemented", **status_of(error))

    started = time.monotonic()
    try:
        channel.unary_unary(path("Hang"))(b"deadline", timeout=0.4)
    except grpc.RpcError as error:
        report("deadline", seconds=time.monotonic() - started, **status_of(error))

    stream = channel.unary_stream(path("Forever"))(b"cancelled", timeout=30)
    some = [next(stream).decode() for _ in range(3)]
    stream.cancel()
    try:
        for _ in stream:
            pass
    except grpc.RpcError as error:
        report("cancel", some=some, **status_of(error))


def one_stream():
    stream = channel.unary_stream(path("Forever"))(b"stream", timeout=60)
    next(stream)
    print("streaming", flush=True)
    try:
        for _ in stream:
            pass
        report("stream", code="OK")
    except grpc.RpcError as error:
        report("stream", **status_of(error))


{"all": all_kinds, "stream": one_stream}[what]()
