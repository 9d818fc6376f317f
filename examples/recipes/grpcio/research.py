"""What `protoc` would generate from ../../proto/research.proto, described here so that there is no build step."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

KINDS = descriptor_pb2.FieldDescriptorProto
FIELDS = {
    "AskRequest": {"question": KINDS.TYPE_STRING},
    "AskResponse": {"answer": KINDS.TYPE_STRING, "source": KINDS.TYPE_STRING},
    "InvestigateRequest": {"topic": KINDS.TYPE_STRING, "count": KINDS.TYPE_UINT32, "interval_ms": KINDS.TYPE_UINT32},
    "Finding": {"number": KINDS.TYPE_UINT32, "text": KINDS.TYPE_STRING, "source": KINDS.TYPE_STRING},
}


def _define():
    file = descriptor_pb2.FileDescriptorProto(name="research.proto", package="research.v1", syntax="proto3")
    for name, members in FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (member, kind) in enumerate(members.items(), start=1):
            message.field.add(name=member, number=number, type=kind, label=KINDS.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    descriptors = [pool.FindMessageTypeByName(f"research.v1.{name}") for name in FIELDS]
    if hasattr(message_factory, "GetMessageClass"):
        return [message_factory.GetMessageClass(descriptor) for descriptor in descriptors]
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(descriptor) for descriptor in descriptors]


AskRequest, AskResponse, InvestigateRequest, Finding = _define()


class ResearchStub:
    def __init__(self, channel):
        self.Ask = channel.unary_unary(
            "/research.v1.Research/Ask",
            request_serializer=AskRequest.SerializeToString,
            response_deserializer=AskResponse.FromString,
        )
        self.Investigate = channel.unary_stream(
            "/research.v1.Research/Investigate",
            request_serializer=InvestigateRequest.SerializeToString,
            response_deserializer=Finding.FromString,
        )
