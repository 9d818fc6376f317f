#!/usr/bin/python3
"""The researcher once more, in Python: same protocol, same files, and as ignorant of the mesh as the other one.

    LISTEN       where to answer: unix:/path or host:port (127.0.0.1:50051)
    AGENT_HOME   the folder with prompts, knowledge, tools and model (../researcher)
    OPENAI_BASE_URL, OPENAI_API_KEY   its model (mind.py)

Needs grpcio and protobuf (Debian: python3-grpcio), and for its model the package openai. The messages are described here rather than generated,
so that there is no build step; they must agree with ../proto/research.proto.
"""

import json
import os
import re
import signal
import time
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from mind import Mind

LISTEN = os.environ.get("LISTEN", "127.0.0.1:50051")
HOME = Path(os.environ.get("AGENT_HOME", Path(__file__).parent.parent / "researcher"))
SERVICE = "research.v1.Research"


def define_messages():
    """The four messages of research.proto, as classes by name."""
    kinds = descriptor_pb2.FieldDescriptorProto
    fields = {
        "AskRequest": {"question": kinds.TYPE_STRING},
        "AskResponse": {"answer": kinds.TYPE_STRING, "source": kinds.TYPE_STRING},
        "InvestigateRequest": {
            "topic": kinds.TYPE_STRING,
            "count": kinds.TYPE_UINT32,
            "interval_ms": kinds.TYPE_UINT32,
        },
        "Finding": {"number": kinds.TYPE_UINT32, "text": kinds.TYPE_STRING, "source": kinds.TYPE_STRING},
    }
    file = descriptor_pb2.FileDescriptorProto(name="research.proto", package="research.v1", syntax="proto3")
    for name, members in fields.items():
        message = file.message_type.add(name=name)
        for number, (member, kind) in enumerate(members.items(), start=1):
            message.field.add(name=member, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptors = [pool.FindMessageTypeByName(f"research.v1.{name}") for name in fields]
    if hasattr(message_factory, "GetMessageClass"):
        return {d.name: message_factory.GetMessageClass(d) for d in descriptors}
    factory = message_factory.MessageFactory(pool)
    return {d.name: factory.GetPrototype(d) for d in descriptors}


MESSAGES = define_messages()
MIND = Mind(HOME)


def read_knowledge():
    """Every sentence of the knowledge base with the entry it stands in."""
    folder = HOME / "knowledge"
    for entry in json.loads((folder / "manifest.json").read_text())["entries"]:
        text = (folder / entry["path"]).read_text().replace("\n", " ")
        for sentence in re.findall(r"[^.]+\.", text):
            yield sentence.strip(), entry["name"]


def words(text):
    return set(re.findall(r"[a-z]{4,}", text.lower()))


def search(text):
    """Sentences that share the most words with a text come first."""
    return sorted(read_knowledge(), key=lambda sentence: -len(words(sentence[0]) & words(text)))


def in_own_words(question, found):
    """What the model makes of what was found; without a model, what was found."""
    if not MIND.has_model:
        return found
    return f"{found} " + MIND.listen(f"The question is: {question}\nThe knowledge base has: {found}\nAnswer from it.")


def ask(request, context):
    found, source = search(request.question)[0]
    try:
        answer = in_own_words(request.question, found)
    except Exception as error:  # Which one it is depends on a package that may not be there.
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"the model does not answer: {error}")
    return MESSAGES["AskResponse"](answer=answer, source=source)


def investigate(request, context):
    found = search(request.topic)
    for number in range(1, request.count + 1):
        if not context.is_active():
            return
        text, source = found[(number - 1) % len(found)]
        yield MESSAGES["Finding"](number=number, text=text, source=source)
        time.sleep(max(1, request.interval_ms) / 1000)


def main():
    handlers = {
        "Ask": grpc.unary_unary_rpc_method_handler(
            ask,
            request_deserializer=MESSAGES["AskRequest"].FromString,
            response_serializer=MESSAGES["AskResponse"].SerializeToString,
        ),
        "Investigate": grpc.unary_stream_rpc_method_handler(
            investigate,
            request_deserializer=MESSAGES["InvestigateRequest"].FromString,
            response_serializer=MESSAGES["Finding"].SerializeToString,
        ),
    }
    # A socket file that a killed process left behind would keep us from listening.
    if LISTEN.startswith("unix:"):
        Path(LISTEN[len("unix:") :]).unlink(missing_ok=True)
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    if server.add_insecure_port(LISTEN) == 0:
        raise SystemExit(f"researcher: cannot listen on {LISTEN}")
    server.start()
    print(f"ready on {LISTEN}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: server.stop(grace=None))
    server.wait_for_termination()


if __name__ == "__main__":
    main()
