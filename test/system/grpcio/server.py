"""A gRPC server whose messages are bare bytes; it prints a line for each thing that a test asks about.

    server.py      prints "ready <host:port>"
"""

import threading
import time
from concurrent import futures

import grpc


def say(text):
    print(text, flush=True)


def echo(request, context):
    sent = dict(context.invocation_metadata())
    context.send_initial_metadata((("x-first", sent.get("x-first", "")),))
    context.set_trailing_metadata((("x-last", "done"), ("x-back-bin", sent.get("x-some-bin", b""))))
    return request


def fail(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not today: " + request.decode())


def count(request, context):
    for number in range(int(request)):
        if not context.is_active():
            return
        yield str(number).encode()


def collect(requests, context):
    return b",".join(requests)


def chat(requests, context):
    for request in requests:
        yield request.upper()


def forever(request, context):
    """Sends until the caller goes away, and says that it noticed."""
    name = request.decode()
    over = threading.Event()
    context.add_callback(lambda: (over.set(), say(f"over {name}")))
    number = 0
    while not over.is_set():
        yield str(number).encode()
        number += 1
        time.sleep(0.02)


def hang(request, context):
    over = threading.Event()
    context.add_callback(lambda: (over.set(), say("over " + request.decode())))
    over.wait(30)
    return b""


handlers = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Hang": grpc.unary_unary_rpc_method_handler(hang),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Forever": grpc.unary_stream_rpc_method_handler(forever),
    "Collect": grpc.stream_unary_rpc_method_handler(collect),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test.Bytes", handlers)])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
say(f"ready 127.0.0.1:{port}")
server.wait_for_termination()
