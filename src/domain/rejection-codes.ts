/**
 * What the peer is told: coarse on purpose, so that a refusal teaches an attacker nothing about digests or rules.
 * Mirrors `ait.v1.WireReason`.
 */
export const WIRE_REASONS = [
  'IDENTITY',
  'PROOF',
  'DRIFT',
  'NOT_PERMITTED',
  'REVOKED',
  'EXPIRED',
  'UNAVAILABLE',
  'PROTOCOL',
  'WRONG_INSTANCE',
  'DRAINING',
] as const;
export type WireReason = (typeof WIRE_REASONS)[number];

/** Where in the life of a connection a code can arise. */
export type Phase = 'transport' | 'exchange' | 'admission' | 'live' | 'data' | 'call' | 'inference';

/** Standard gRPC status names, as the callers of a refused call see them. */
export type GrpcStatusName =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'UNAUTHENTICATED'
  | 'PERMISSION_DENIED'
  | 'FAILED_PRECONDITION'
  | 'RESOURCE_EXHAUSTED'
  | 'DEADLINE_EXCEEDED'
  | 'UNAVAILABLE';

interface Row {
  readonly phase: Phase;
  readonly wire: WireReason;
  readonly grpc: GrpcStatusName;
  readonly http: 400 | 401 | 403 | 404 | 408 | 412 | 413 | 417 | 421 | 429 | 431 | 501 | 502 | 503 | 504;
  /** One sentence for the operator: what happened. */
  readonly meaning: string;
  /** One sentence for the operator: what to do now. */
  readonly action: string;
}

/**
 * Every reason for which ait-mesh refuses or ends anything. The key is the metric label, the log and audit field, and
 * the heading of the reference page. Rows of phase `admission` stand in the order in which admission checks.
 */
export const REJECTIONS = {
  // --- transport: before any token was seen
  TLS_HANDSHAKE_FAILED: row(
    'transport',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    "The TLS handshake failed; the detail carries the TLS library's own reason (unknown CA, expired certificate, wrong purpose …).",
    "Compare both sides' trust domain and certificate dates; `openssl s_client -connect <address> -alpn h2` shows the chain.",
  ),
  TLS_HANDSHAKE_TIMEOUT: row(
    'transport',
    'PROTOCOL',
    'UNAVAILABLE',
    503,
    'The peer did not finish the TLS handshake in time (default 3 s).',
    'Look for a port scanner, a peer without TLS, or an overloaded host.',
  ),
  TLS_RESUMED: row(
    'transport',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'The peer resumed an older TLS session; certificates are only checked in full handshakes, so this is refused.',
    'The peer is not an unmodified ait sidecar; find out what it is.',
  ),
  ALPN_MISMATCH: row(
    'transport',
    'PROTOCOL',
    'UNAUTHENTICATED',
    401,
    'The socket negotiated neither `h2` (exchange) nor `ait-data/1` (data).',
    'Something other than a sidecar dials this port; point it at its own sidecar instead.',
  ),
  PEER_ID_INVALID: row(
    'transport',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    "The peer's certificate has no, several or a malformed URI SAN, or its purpose is wrong.",
    'Certificates come from `ait authority` only; see who issued this one.',
  ),
  TRUST_DOMAIN_NOT_ACCEPTED: row(
    'transport',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    "The certificate's trust domain is not accepted here, or does not chain to that domain's own roots.",
    'Meshes of different authorities do not talk unless federated; check which authority the peer joined.',
  ),
  CERTIFICATE_NOT_VALID_NOW: row(
    'transport',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    "By our clock the peer's certificate is not valid yet, or no longer.",
    'Compare the two times in the detail with a good clock; correct the clock that is off (NTP).',
  ),
  TOO_MANY_UNAUTHENTICATED: row(
    'transport',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'Too many connections that have not proved anything yet: in all, from one address, or under one SVID.',
    "Find the flood's source in the log; the caps are under `limits` in the configuration.",
  ),
  PEER_UNREACHABLE: row(
    'transport',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    "No connection could be made to the peer's address.",
    'Check that the peer runs, its advertised address, and the network policy between the two.',
  ),
  PEER_ADDRESS_UNKNOWN: row(
    'transport',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'Neither the configuration nor the authority knows an address of the peer.',
    "Start the peer's sidecar, or set `peers[].address`.",
  ),

  // --- exchange: the conversation itself
  PROTOCOL_VERSION_UNSUPPORTED: row(
    'exchange',
    'PROTOCOL',
    'UNAVAILABLE',
    503,
    'The two sidecars share no version of the exchange protocol.',
    'Upgrade the older sidecar; `ait --version` on both sides tells which it is.',
  ),
  PROTOCOL_ERROR: row(
    'exchange',
    'PROTOCOL',
    'UNAUTHENTICATED',
    401,
    'The peer sent something that the exchange does not allow at this point.',
    'If the peer is a current ait sidecar, report a bug with both correlation ids; else find out what it is.',
  ),
  EXCHANGE_TIMEOUT: row(
    'exchange',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'The exchange was not finished in time (default 5 s).',
    'The peer is overloaded or hostile; its own log line shares the correlation id.',
  ),
  PEER_REFUSED: row(
    'exchange',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'The peer refused us; it tells only a coarse reason and a correlation id.',
    "Search the peer's log or `ait explain` there for the same correlation id.",
  ),
  CONTINUATION_UNKNOWN: row(
    'exchange',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'A connection asked to continue a session that is not live here.',
    'Harmless when the session has just ended; the caller opens a new one.',
  ),
  CONTINUATION_INVALID: row(
    'exchange',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'A connection asked to continue a session, but the key of the certificate before does not vouch for the new one.',
    'An honest sidecar does not do that: find out who dials with this certificate.',
  ),

  // --- admission, in the order of the checks
  UNEXPECTED_PEER: row(
    'admission',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'The certificate proves another identity than the one this route is for, or none that may take part in an exchange.',
    "Check the peer's address: something else listens there. It is a valid member only if the detail names one of your agents.",
  ),
  AIT_MALFORMED: row(
    'admission',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    "The peer's Agent Identity Token is not a well-formed AIT (algorithm, type, duplicate or missing members …).",
    'No sidecar of ours sends such a token: treat it as an attack and find the sender by its address.',
  ),
  AIT_ISSUER_UNKNOWN: row(
    'admission',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'The token was issued by an authority, or under a key, that this sidecar does not know.',
    'Check that both sidecars joined the same authority and that its signed state reaches this one (`bundle_revision`).',
  ),
  AIT_SIGNATURE_INVALID: row(
    'admission',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    "The token's signature does not verify.",
    'The token was altered or forged: treat it as an attack.',
  ),
  AIT_AUDIENCE_MISMATCH: row(
    'admission',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'The token is meant for another trust domain.',
    'The peer presented a token issued for use elsewhere; check which authority it joined.',
  ),
  AIT_NOT_YET_VALID: row(
    'admission',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'The token is valid only from a later time on.',
    'Compare the two clocks in the detail; correct the one that is off (NTP).',
  ),
  AIT_EXPIRED: row(
    'admission',
    'EXPIRED',
    'UNAUTHENTICATED',
    401,
    'The token has expired.',
    'Compare the two clocks in the detail; if they agree, the peer has not reached its authority for too long.',
  ),
  AIT_SUBJECT_MISMATCH: row(
    'admission',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'The token speaks of another agent than the certificate.',
    "Somebody presents another agent's token: treat it as an attack.",
  ),
  AIT_BINDING_MISMATCH: row(
    'admission',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'The token is bound to another certificate than the one on this connection.',
    'A copied token: treat it as an attack and revoke the instance it was copied from.',
  ),
  PROOF_INVALID: row(
    'admission',
    'PROOF',
    'UNAUTHENTICATED',
    401,
    "The proof of possession is missing, malformed, not fresh, for another connection, or not signed by the certificate's key.",
    'A replayed or forged proof: treat it as an attack.',
  ),
  PROOF_MEASUREMENT_MISMATCH: row(
    'admission',
    'PROOF',
    'UNAUTHENTICATED',
    401,
    'What the peer measures now differs from what its token says.',
    'It resolves itself if a roll-out is under way; if it persists, the peer cannot get a new token from its authority.',
  ),
  REVOKED: row(
    'admission',
    'REVOKED',
    'PERMISSION_DENIED',
    403,
    'The agent, the instance or the certificate has been revoked.',
    'The detail names the revocation; issue a new join credential only when the cause is understood.',
  ),
  AGENT_UNKNOWN: row(
    'admission',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    "The authority's signed state has no such agent for this sidecar.",
    'Register the agent (agents/*.yaml), or grant one of the two the connection: only related agents are distributed.',
  ),
  AGENT_NOT_ACTIVE: row(
    'admission',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'The agent is suspended or retired, or has no accountable sponsor.',
    "Set `lifecycle: active` and a sponsor in the agent's file, if that is what you want.",
  ),
  BASELINE_MISSING: row(
    'admission',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'No approved baseline is in force for the agent.',
    "Build one with `ait baseline build`, have it approved, and put it in the authority's directory.",
  ),
  SYSTEM_PROMPT_DRIFT: drift('the system prompt'),
  KNOWLEDGE_BASE_DRIFT: drift('the knowledge base'),
  MODEL_DRIFT: drift('the model'),
  TOOLS_DRIFT: drift('the tools'),
  ASSURANCE_TOO_LOW: row(
    'admission',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'The digests match, but were obtained by weaker means than the baseline demands.',
    "Separate sidecar and agent as SECURITY.md describes, or lower the baseline's demand knowingly.",
  ),
  GRANT_MISSING: row(
    'admission',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'No grant lets the calling agent connect to the called one. The default is to deny.',
    'Add a grant (grants/*.yaml) from the caller to the callee.',
  ),

  // --- live: a session that had been accepted
  TRUST_WITHDRAWN: row(
    'live',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'The key that signed the token, or the root that issued the certificate, was taken out of the trust bundle.',
    'Nothing, if somebody replaced a compromised key (`ait certs show`): both sides get new credentials by themselves. If it stays, the sidecar cannot reach its authority.',
  ),
  AIT_STALE: row(
    'live',
    'EXPIRED',
    'UNAUTHENTICATED',
    401,
    'The measurement changed and the token did not follow within 10 s.',
    "The agent's sidecar cannot reach its authority; see its log for AUTHORITY_UNREACHABLE.",
  ),
  CERTIFICATE_EXPIRED: row(
    'live',
    'EXPIRED',
    'UNAUTHENTICATED',
    401,
    'The certificate of one side expired while the session was open.',
    "Renewal failed; see `certificate_rotations_total` and the sidecar's log.",
  ),
  STATE_STALE: row(
    'live',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    "The authority's signed state is older than the mesh tolerates, so nothing can be judged by it any more.",
    'Restore the authority or the way to it; both times are in the detail.',
  ),
  AIT_MISSING: row(
    'live',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'This sidecar has not received an Agent Identity Token for what it measures yet.',
    'Check the way to the authority and whether it refuses this agent; the log has the reason.',
  ),
  STATE_MISSING: row(
    'live',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    "This sidecar has not received the authority's signed state yet.",
    'Check the way to the authority; `/readyz` names what the sidecar waits for.',
  ),
  MEASUREMENT_UNREADABLE: row(
    'live',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'A measured file is missing or cannot be read.',
    'The detail names the file; restore it or its permissions.',
  ),
  MEASUREMENT_INVALID: row(
    'live',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'A measured file is empty, not UTF-8 text, too large, or a malformed manifest.',
    'The detail names the file, the place and the rule; correct it.',
  ),
  MEASUREMENT_UNSTABLE: row(
    'live',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'A measured file kept changing for more than 30 ms, so no digest could be trusted.',
    'Something rewrites the file all the time; write it once, atomically (rename).',
  ),
  PEER_ENDED: row(
    'live',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'The peer ended the session; it tells only a coarse reason and a correlation id.',
    "Search the peer's log or `ait explain` there for the same correlation id.",
  ),
  PEER_LOST: row(
    'live',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'The peer fell silent or its control connection broke. This is a network or process failure, never drift.',
    "Check the peer's process and the network between the two.",
  ),
  PEER_DRAINING: row(
    'live',
    'DRAINING',
    'UNAVAILABLE',
    503,
    'This side, or the peer, is shutting down in good order.',
    'Nothing; callers reconnect elsewhere or later.',
  ),
  IDLE: row(
    'live',
    'DRAINING',
    'UNAVAILABLE',
    503,
    'The session had no connection for the idle time and was closed; the next call opens another.',
    'Nothing.',
  ),

  // --- data connections
  DATA_SESSION_UNKNOWN: row(
    'data',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'A data connection named no live session of this sidecar.',
    'Harmless right after a session ended; otherwise somebody tries to get in without an exchange.',
  ),
  TOO_MANY_CONNECTIONS: row(
    'data',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'The session has as many data connections as one peer may have.',
    'See why the caller keeps so many connections open; the cap is `limits.connections_per_session`.',
  ),
  PEER_BUDGET_EXCEEDED: row(
    'data',
    'UNAVAILABLE',
    'RESOURCE_EXHAUSTED',
    503,
    'Our agent has as many connections to this peer open, or waiting for an instance, as it may.',
    'See why it opens so many, or why the peer takes so long; the limits are under `peers[].limits`.',
  ),
  CIRCUIT_OPEN: row(
    'data',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'All instances of the peer have failed several times in a row, so for a moment none is asked.',
    'The detail names the last failure: treat it by its own code. `ait status --admin` shows the instances.',
  ),
  DATA_SESSION_FOREIGN: row(
    'data',
    'IDENTITY',
    'UNAUTHENTICATED',
    401,
    'A data connection named a session that belongs to another certificate.',
    'Somebody uses a session id that is not theirs: treat it as an attack.',
  ),
  DATA_PREFACE_INVALID: row(
    'data',
    'PROTOCOL',
    'UNAUTHENTICATED',
    401,
    'A data connection did not open with a well-formed, timely preface.',
    'The dialler is not an unmodified ait sidecar; find out what it is.',
  ),
  WRONG_INSTANCE: row(
    'data',
    'WRONG_INSTANCE',
    'UNAVAILABLE',
    503,
    'A data connection reached another instance than the one that accepted the session.',
    'Set `inbound.advertise` to an address that leads to this very instance, not to a balancer.',
  ),
  APP_UNREACHABLE: row(
    'data',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    'The sidecar could not connect to its own agent.',
    'Start the agent, or correct `app.address`.',
  ),

  // --- call: one call on a data connection, or the HTTP/2 that carries calls
  PREFACE_TIMEOUT: row(
    'call',
    'PROTOCOL',
    'DEADLINE_EXCEEDED',
    408,
    'A connection was opened and nothing was said on it in time, or not enough to tell what it speaks.',
    'See what connects and stays silent: a health check, a port scanner, or a client that waits for its server to begin.',
  ),
  OPAQUE_NOT_GRANTED: row(
    'call',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'The connection speaks neither HTTP/2 nor HTTP/1, so its calls cannot be seen, and the grant between the two lists calls.',
    'Let the agent speak HTTP, or give it a grant without `calls`: that one is for all that the connection carries.',
  ),
  HTTP2_PROTOCOL_VIOLATION: row(
    'call',
    'PROTOCOL',
    'UNAVAILABLE',
    502,
    'A side broke the rules of HTTP/2 in a way that concerns the whole connection; the detail has the rule and the error code.',
    "Look at that side's HTTP/2 library. If it is a peer's, and the peer is a current ait sidecar, report a bug; else find out what it is.",
  ),
  HTTP2_FLOOD: row(
    'call',
    'PROTOCOL',
    'RESOURCE_EXHAUSTED',
    429,
    'A side sent more frames that only cost work than an honest one does (resets, pings, settings, empty frames …); it was told ENHANCE_YOUR_CALM.',
    'The detail names the kind of frame: treat it as an attack unless that side is known to do so; a client that cancels nearly all it asks for is the usual exception.',
  ),
  HTTP1_MALFORMED: row(
    'call',
    'PROTOCOL',
    'INVALID_ARGUMENT',
    400,
    'A request is not what HTTP/1.1 allows, or is such that two servers could read it differently: two lengths, a bare line feed, a folded header, a `Host` that is missing or differs …',
    'The detail names the rule; correct the caller. If it is a well-known client, treat it as an attack: none sends such requests.',
  ),
  HTTP1_ANSWER_MALFORMED: row(
    'call',
    'PROTOCOL',
    'UNAVAILABLE',
    502,
    'What the called agent answered is not what HTTP/1.1 allows, or could be read in more than one way.',
    'The detail names the rule; correct the called agent. If it speaks HTTP/2 only, call it so.',
  ),
  UPGRADE_REFUSED: row(
    'call',
    'PROTOCOL',
    'INVALID_ARGUMENT',
    501,
    'A request wants to leave HTTP (`Upgrade`, for example to WebSocket, or CONNECT): what would follow are no calls, and cannot be decided.',
    'Use plain requests, server-sent events or gRPC streams between agents. Bytes of another protocol pass from their first one on, under a grant without `calls`.',
  ),
  EXPECTATION_REFUSED: row(
    'call',
    'PROTOCOL',
    'INVALID_ARGUMENT',
    417,
    'A request has an `Expect` other than `100-continue`.',
    'Leave the header out; nothing else can be expected.',
  ),
  CALL_BODY_TOO_LARGE: row(
    'call',
    'PROTOCOL',
    'RESOURCE_EXHAUSTED',
    413,
    'The body of a call, of its answer, or one event of it is larger than what is read along.',
    'Raise `protocols.body_bytes`; or, for an agent that speaks neither A2A nor MCP, have its bodies passed unread (`read_bodies: none` of the peer and of `app`).',
  ),
  CALL_ANSWER_UNREADABLE: row(
    'call',
    'PROTOCOL',
    'UNAVAILABLE',
    502,
    'An answer has to be read before it is passed on, as an agent card or because it may list tools of MCP, and cannot be: it is compressed, too long, not UTF-8, no strict JSON, or no list of tools that all readers read alike.',
    'The detail has the place; have the called agent answer in plain JSON, without a content coding, in less than `protocols.body_bytes`. No library of A2A or MCP writes an answer that is malformed: find out what the server does.',
  ),
  CALL_MALFORMED: row(
    'call',
    'PROTOCOL',
    'INVALID_ARGUMENT',
    400,
    'The headers of a call are not what HTTP/2 allows: a missing, doubled or misplaced pseudo-header, a connection header, a forbidden character.',
    'The detail names the header and the rule; correct the caller.',
  ),
  CALL_HEADERS_TOO_LARGE: row(
    'call',
    'PROTOCOL',
    'RESOURCE_EXHAUSTED',
    431,
    'The headers or trailers of a call are larger, or more, than allowed.',
    'Send less, above all in cookies and metadata; the caps are under `limits` in the configuration.',
  ),
  AUTHORITY_MISDIRECTED: row(
    'call',
    'PROTOCOL',
    'NOT_FOUND',
    421,
    'A call named another `:authority` than this connection leads to, or one that no route of this sidecar has.',
    'Open another connection for another agent; which authorities lead where is under `peers` in the configuration.',
  ),
  CALL_PATH_AMBIGUOUS: row(
    'call',
    'NOT_PERMITTED',
    'INVALID_ARGUMENT',
    400,
    'The grant lists calls, and the path of this one could be read as another by the callee: `//`, `..`, `;`, a needless escape …',
    'The detail says what makes it ambiguous; have the caller send the path in its plain form. If it does not send such paths itself, treat it as an attack.',
  ),
  CALL_NOT_GRANTED: row(
    'call',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'The two may connect, but no grant between them covers this method and path.',
    'Add the call to the `calls` of a grant (grants/*.yaml, or `ait grant add --call`), if the caller should make it.',
  ),
  CALL_DEADLINE_INVALID: row(
    'call',
    'PROTOCOL',
    'INVALID_ARGUMENT',
    400,
    "The call's `grpc-timeout` is not one to eight digits and a unit.",
    'Correct the caller; no gRPC library writes such a header.',
  ),
  CALL_DEADLINE_EXCEEDED: row(
    'call',
    'UNAVAILABLE',
    'DEADLINE_EXCEEDED',
    504,
    'The call was open for longer than the ceiling for calls allows.',
    'See why it takes so long; if it should, as a subscription does, raise the ceiling in the configuration.',
  ),
  CALL_STALLED: row(
    'call',
    'UNAVAILABLE',
    'RESOURCE_EXHAUSTED',
    503,
    'The side that reads took nothing of the call for too long (no HTTP/2 window), and so was held responsible for it.',
    'The detail says which side it was; see what keeps it from reading.',
  ),
  CALL_BUDGET_EXCEEDED: row(
    'call',
    'UNAVAILABLE',
    'RESOURCE_EXHAUSTED',
    429,
    'As many calls are under way as may be at once.',
    'Find out why they take so long, or are so many; the caps are under `limits` in the configuration.',
  ),

  CALL_BODY_UNREADABLE: row(
    'call',
    'PROTOCOL',
    'INVALID_ARGUMENT',
    400,
    'The body of a call has to be read, because it may set a push-notification target or ask for tools, and cannot be: it is compressed, in another encoding, or no strict JSON.',
    'Send plain JSON in UTF-8, without duplicate keys, unsafe numbers and a content encoding; the detail has the place.',
  ),
  CALL_BODY_UNSEEN: row(
    'call',
    'NOT_PERMITTED',
    'FAILED_PRECONDITION',
    421,
    'The call came over HTTP/2, where bodies are not read, and what it asks for must not pass unread: an agent card, a push-notification configuration, or a message of MCP.',
    'Make this call over HTTP/1.1, as the SDKs do by default; for A2A over gRPC set push targets by JSON-RPC or HTTP+JSON, and take the card from `/.well-known/agent-card.json`.',
  ),
  AGENT_CARD_INVALID: row(
    'call',
    'PROTOCOL',
    'UNAVAILABLE',
    502,
    'What the called agent gave as its A2A agent card is none that can be read, or names an address that cannot be led through the mesh.',
    'The detail names the member; correct the card. An interface has an `http(s)://host:port/path`, or `host:port` for gRPC.',
  ),
  AGENT_CARD_UNVERIFIED: row(
    'call',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'An A2A agent card is signed by nobody whose key is known for that agent; or it is not signed, although its keys are known.',
    "List the signer's public key in the file under `peers[].card_keys`; or, if the caller verifies cards itself, set `protocols.unverified_cards: pass`.",
  ),
  AGENT_CARD_SIGNATURE_INVALID: row(
    'call',
    'IDENTITY',
    'PERMISSION_DENIED',
    403,
    'An A2A agent card bears a signature that names a known key and does not hold.',
    'The card was changed after it was signed, or another key signed it: have it signed again, or find out who changed it.',
  ),
  PUSH_TARGET_NOT_GRANTED: row(
    'call',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'An A2A agent was to push notifications to a place outside the mesh that is not granted.',
    'Let it push to an agent of the mesh (http://<agent>.mesh/…), or list the origin under `protocols.push_targets` on both sides. If the caller should not know that place, find out who gave it to it.',
  ),

  // --- inference: the agent's calls to its model
  INFERENCE_REQUEST_INVALID: row(
    'inference',
    'PROTOCOL',
    'INVALID_ARGUMENT',
    400,
    "The agent's request to its model is malformed, or has a field that is not passed on.",
    'The error names the place; correct the agent. What is passed on is in docs/agent-developer.md.',
  ),
  INFERENCE_ENDPOINT_UNKNOWN: row(
    'inference',
    'PROTOCOL',
    'NOT_FOUND',
    404,
    'The agent asked the inference port for something that it does not have.',
    'The error lists what there is; everything else of the API is closed on purpose.',
  ),
  INFERENCE_CALLER_REFUSED: row(
    'inference',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'A request to the inference port came from a web page, or under a host name that is not ours.',
    'Programs call it as localhost or by its loopback address, without Origin; if it was a browser, find out whose page.',
  ),
  INFERENCE_REQUEST_TOO_LARGE: row(
    'inference',
    'PROTOCOL',
    'RESOURCE_EXHAUSTED',
    413,
    "The agent's request to its model is larger than allowed.",
    'Send less, or raise `inference.limits.body_bytes`.',
  ),
  INFERENCE_REQUEST_SLOW: row(
    'inference',
    'PROTOCOL',
    'DEADLINE_EXCEEDED',
    408,
    'The agent did not send its whole request in time.',
    'See what keeps the agent; the limit is `inference.timeouts.request`.',
  ),
  INFERENCE_OVERLOADED: row(
    'inference',
    'UNAVAILABLE',
    'RESOURCE_EXHAUSTED',
    503,
    'As many calls to the model are under way as may be.',
    'Find out why they take so long; the limit is `inference.limits.concurrent`.',
  ),
  INFERENCE_NOT_PERMITTED: row(
    'inference',
    'NOT_PERMITTED',
    'PERMISSION_DENIED',
    403,
    'The signed state does not let this agent use the inference service, or knows no such service.',
    'Approve it: an `InferenceService` in the policy whose `agents` has this agent.',
  ),
  INFERENCE_UNAVAILABLE: row(
    'inference',
    'UNAVAILABLE',
    'UNAVAILABLE',
    503,
    "The model could not be reached, refused the sidecar's credentials, or broke the connection.",
    'Check that the service or provider runs, `inference` in the configuration, and the network policy between the two.',
  ),
  INFERENCE_TIMEOUT: row(
    'inference',
    'UNAVAILABLE',
    'DEADLINE_EXCEEDED',
    504,
    'The model fell silent: before its answer, or in the middle of it.',
    "Check the service's load; the limits are under `inference.timeouts`.",
  ),
  INFERENCE_ANSWER_INVALID: row(
    'inference',
    'PROTOCOL',
    'UNAVAILABLE',
    502,
    "The model's answer is not what the API promises: malformed, of another type, too large, or cut off.",
    'Find out what answers there; it is not a well-behaved OpenAI-compatible server.',
  ),
  INFERENCE_MODEL_CHANGED: row(
    'inference',
    'DRIFT',
    'PERMISSION_DENIED',
    502,
    'The answer says that another model gave it than the approved one; the agent did not get to see it.',
    'If the provider answers under further names, list them in `inference.provider.model_map`; if not, find out who changed the model.',
  ),
  // --- confidential inference: what a service's evidence is refused for, in the order in which it is asked
  EVIDENCE_MALFORMED: inference(
    'The inference service answered with no evidence of a known form: wrong type, algorithm, members or spelling.',
    'See what answers at the address of the inference service, and whether both sides are of one version.',
  ),
  EVIDENCE_NOT_TRUSTED: inference(
    'The evidence is not signed by a key that hangs on an approved evidence root, or a certificate of its chain is out of its time.',
    'Compare `evidence_roots` of the InferenceService with `ait inference describe` on the service, and both clocks.',
  ),
  EVIDENCE_STALE: inference(
    'The evidence answers another nonce, or was made too long ago or in the future; the detail has both.',
    'Correct the clock that is off (NTP). With clocks in order somebody replays evidence: treat it as an attack.',
  ),
  EVIDENCE_KEY_MISMATCH: inference(
    'The evidence speaks of another TLS key than the one that this connection ends at.',
    'Somebody stands between the sidecar and the service and passes on its evidence: treat it as an attack.',
  ),
  EVIDENCE_SIMULATED: inference(
    'The evidence says of itself that it is simulated, and policy does not accept that.',
    'Use a service with real hardware; for development set `accept_simulated_evidence: true` of the InferenceService.',
  ),
  EVIDENCE_MEASUREMENT_UNKNOWN: inference(
    'The service runs something else than what is approved: its launch measurement is not in `measurements`.',
    'If it was updated on purpose, approve what `ait inference describe` prints; if not, find out who changed it.',
  ),
} as const satisfies Record<string, Row>;

export type RejectionCode = keyof typeof REJECTIONS;
export const REJECTION_CODES = Object.keys(REJECTIONS) as readonly RejectionCode[];

function row(
  phase: Phase,
  wire: WireReason,
  grpc: GrpcStatusName,
  http: Row['http'],
  meaning: string,
  action: string,
): Row {
  return { phase, wire, grpc, http, meaning, action };
}

/** Nobody is told on the wire: it is our own agent's call that goes nowhere. */
function inference(meaning: string, action: string): Row {
  return row('inference', 'NOT_PERMITTED', 'FAILED_PRECONDITION', 412, meaning, action);
}

function drift(what: string): Row {
  return row(
    'admission',
    'DRIFT',
    'PERMISSION_DENIED',
    403,
    `The measurement equals no baseline in force: ${what} differs from the nearest one (other dimensions may, too).`,
    'If the change was intended, approve it first (`ait baseline build`); if not, restore it and find out who changed it.',
  );
}
