#!/bin/sh
# Asks the researcher, and reads server-sent events as they come.
#
#   RESEARCHER_URL   where the sidecar takes calls to the researcher: http://127.0.0.1:17001
set -eu

curl --no-progress-meter --fail-with-body --json '{"question": "Who approves a baseline?"}' "$RESEARCHER_URL/ask"
echo
curl --no-progress-meter --fail-with-body --no-buffer "$RESEARCHER_URL/findings"
