"""Asks the researcher one question, then listens to an investigation. Of the mesh it knows an address.

    RESEARCHER   where the sidecar takes calls to the researcher: unix:/run/ait/planner/researcher.sock, 127.0.0.1:17001
    AUTHORITY    whom a call is for, where the sidecar has one port for all peers: researcher.mesh
"""

import os
import sys

import grpc

from research import AskRequest, InvestigateRequest, ResearchStub

options = []
if "AUTHORITY" in os.environ:
    options.append(("grpc.default_authority", os.environ["AUTHORITY"]))

with grpc.insecure_channel(os.environ["RESEARCHER"], options=options) as channel:
    researcher = ResearchStub(channel)
    try:
        print(researcher.Ask(AskRequest(question="Who approves a baseline?"), timeout=10).answer)
        for finding in researcher.Investigate(InvestigateRequest(topic="drift", count=3), timeout=60):
            print(f"finding {finding.number}: {finding.text}", flush=True)
    except grpc.RpcError as error:
        # An error without this field is the researcher's own.
        code = dict(error.trailing_metadata() or ()).get("x-ait-refused")
        if code is None:
            raise
        print(f"{error.code().name}, and the mesh says why: {code}")
        sys.exit(1)
