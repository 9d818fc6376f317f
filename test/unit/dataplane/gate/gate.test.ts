import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rejection } from '../../../../src/domain/rejection.ts';
import { SETTING } from '../../../../src/dataplane/http2/protocol.ts';
import { BareGate } from '../../../support/bare-gate.ts';
import { block, frames, GRPC_REQUEST, REQUEST, RESPONSE } from '../../../support/http2-bytes.ts';

const TABLE_UPDATE = 0x20;

function firstOctets(bare: BareGate, side: 'client' | 'server'): (number | undefined)[] {
  return bare
    .take(side)
    .filter(({ type }) => type === 1)
    .map(({ payload }) => payload[0]);
}

test('a callee that speaks first tells the client what the gate would have told it, and nothing takes it back', () => {
  const bare = new BareGate();
  bare.from('server', frames.settings([SETTING.maxConcurrentStreams, 7], [SETTING.noRfc7540Priorities, 1]));
  assert.deepEqual(bare.said('client'), ['SETTINGS 6=65536 3=7 9=1']);
  bare.from('client', frames.preface, frames.settings(), frames.settingsAck());
  assert.deepEqual(bare.said('client'), []);
  assert.deepEqual(bare.said('server'), ['SETTINGS 6=65536 2=0', 'SETTINGS ACK']);
});

test('else the client hears from the gate before the callee has said a word', () => {
  const bare = new BareGate();
  bare.from('client', frames.preface);
  assert.deepEqual(bare.said('client'), ['SETTINGS 3=100 6=65536']);
});

test('the first acknowledgement of a client is for the SETTINGS of the gate, and the callee does not hear of it', () => {
  const bare = new BareGate();
  bare.from('client', frames.preface, frames.settings(), frames.settingsAck());
  assert.deepEqual(bare.said('server'), ['SETTINGS 6=65536 2=0']);
  bare.from('server', frames.settings());
  bare.from('client', frames.settingsAck());
  assert.deepEqual(bare.said('server'), ['SETTINGS ACK']);
});

for (const bytes of ['', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r']) {
  test(`a client that never gets beyond ${bytes.length} octets of the preface is left in good order`, () => {
    const bare = new BareGate();
    bare.from('client', Buffer.from(bytes));
    bare.clock.ms = 9_000;
    bare.gate.timePassed();
    assert.equal(bare.gate.over, false);
    bare.clock.ms = 10_001;
    bare.gate.timePassed();
    assert.equal(bare.gate.over, true);
    assert.deepEqual([bare.said('client'), bare.said('server')], [[], []]);
  });
}

test('calls to an agent that takes the connection and never speaks do not wait for ever', () => {
  const bare = new BareGate({ direction: 'inbound' });
  bare.from('client', frames.preface, frames.settings(), frames.headers(1, GRPC_REQUEST));
  bare.said('client');
  bare.clock.ms = 10_000;
  bare.gate.timePassed();
  assert.deepEqual(bare.said('client'), []);
  bare.clock.ms = 10_001;
  bare.gate.timePassed();
  assert.deepEqual(
    bare.policy.ended_.map(({ outcome }) => outcome.rejection?.code),
    ['APP_UNREACHABLE'],
  );
  assert.equal(bare.gate.over, true);
});

test('a caller waits for another sidecar as long as it likes', () => {
  const bare = new BareGate({ direction: 'outbound' });
  bare.from('client', frames.preface, frames.settings(), frames.headers(1, GRPC_REQUEST));
  bare.clock.ms = 60_000;
  bare.gate.timePassed();
  assert.equal(bare.gate.over, false);
});

test('what does not begin as HTTP/2 does reaches nobody, at whichever octet it differs', () => {
  for (let at = 0; at < frames.preface.length; at += 1) {
    const bytes = Buffer.from(frames.preface);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    const bare = new BareGate().from('client', bytes, frames.settings());
    assert.equal(bare.gate.over, true, `octet ${at}`);
    assert.deepEqual(bare.said('server'), []);
  }
});

for (const [what, first] of Object.entries({
  PING: frames.ping(),
  HEADERS: frames.headers(1, REQUEST),
  'an acknowledgement': frames.settingsAck(),
  'a frame of an unknown type': Buffer.from('0000002a0000000000', 'hex'),
})) {
  for (const from of ['client', 'server'] as const) {
    test(`a ${from} that begins with ${what} instead of SETTINGS breaks the protocol`, () => {
      const bare = new BareGate();
      bare.from('client', frames.preface);
      if (from === 'server') bare.from('client', frames.settings(), frames.headers(1, REQUEST));
      bare.from(from, first);
      assert.match(bare.said(from).at(-1) ?? '', /^GOAWAY \d PROTOCOL_ERROR$/);
    });
  }
}

test('each first block, after SETTINGS and again after their acknowledgement, empties the table of its reader', () => {
  const bare = BareGate.begun();
  const call = (id: number): void => {
    bare.from('client', frames.headers(id, REQUEST, { end: true }));
    bare.from('server', frames.headers(id, RESPONSE, { end: true }));
  };
  call(1);
  call(3);
  assert.deepEqual(firstOctets(bare, 'server'), [TABLE_UPDATE, 0x83]);
  assert.deepEqual(firstOctets(bare, 'client'), [TABLE_UPDATE, 0x88]);
  bare.from('client', frames.settings([SETTING.headerTableSize, 100]));
  bare.from('server', frames.settings([SETTING.headerTableSize, 0]));
  call(5);
  call(7);
  bare.from('client', frames.settingsAck());
  bare.from('server', frames.settingsAck());
  call(9);
  call(11);
  assert.deepEqual(firstOctets(bare, 'server'), [TABLE_UPDATE, 0x83, TABLE_UPDATE, 0x83]);
  assert.deepEqual(firstOctets(bare, 'client'), [TABLE_UPDATE, 0x88, TABLE_UPDATE, 0x88]);
});

test('a reader that opens no window ends its call, one that reads slowly does not', () => {
  const bare = BareGate.begun();
  bare.from('client', frames.headers(1, GRPC_REQUEST, { end: true }), frames.headers(3, GRPC_REQUEST, { end: true }));
  bare.from('client', frames.windowUpdate(0, 1_000_000));
  bare.from('server', frames.headers(1, RESPONSE), frames.headers(3, RESPONSE));
  for (const id of [1, 3]) {
    for (let i = 0; i < 3; i += 1) bare.from('server', frames.data(id, 16_384));
    bare.from('server', frames.data(id, 65_535 - 3 * 16_384));
  }
  for (let second = 1; second <= 120; second += 1) {
    bare.clock.ms = second * 1000;
    bare.gate.timePassed();
    // Opened and used up between two looks.
    bare.from('client', frames.windowUpdate(3, 10));
    bare.from('server', frames.data(3, 10));
  }
  assert.deepEqual(
    bare.policy.ended_.map(({ call, outcome }) => [call.streamId, outcome.rejection?.code]),
    [[1, 'CALL_STALLED']],
  );
});

test('a frame that does not become complete ends the connection; frames that are each cut by a chunk do not', () => {
  const ping = frames.ping();
  const honest = BareGate.begun();
  honest.from('client', ping.subarray(0, 5));
  for (let second = 1; second <= 30; second += 1) {
    honest.clock.ms = second * 1000;
    honest.from('client', Buffer.concat([ping.subarray(5), ping.subarray(0, 5)]));
    honest.gate.timePassed();
  }
  assert.equal(honest.gate.over, false);
  const slow = BareGate.begun();
  const head = block(REQUEST);
  slow.from('client', frames.headers(1, head.subarray(0, 4), { endHeaders: false }));
  for (let second = 1; second <= 11; second += 1) {
    slow.clock.ms = second * 1000;
    slow.from('client', frames.continuation(1, head.subarray(4, 5), { endHeaders: false }));
    slow.gate.timePassed();
  }
  assert.match(slow.said('client').at(-1) ?? '', /^GOAWAY 0 ENHANCE_YOUR_CALM$/);
});

test('pings that measure a path that is in use are as many as pieces of DATA; others are few', () => {
  const bare = BareGate.begun();
  bare.from('client', frames.headers(1, REQUEST), frames.windowUpdate(0, 1_000_000), frames.windowUpdate(1, 1_000_000));
  bare.from('server', frames.headers(1, RESPONSE));
  for (let i = 0; i < 1500; i += 1) {
    bare.from('server', frames.data(1, 100));
    bare.from('client', frames.ping());
    bare.from('server', frames.ping({ ack: true }));
  }
  assert.equal(bare.gate.over, false);
  for (let i = 0; i < 201; i += 1) bare.from('client', frames.ping());
  assert.equal(bare.gate.over, true);
});

test('an answer to no PING goes no further, and many of them end the connection', () => {
  const bare = BareGate.begun();
  bare.from('client', frames.ping({ ack: true }));
  assert.deepEqual(bare.said('server'), []);
  for (let i = 0; i < 200; i += 1) bare.from('client', frames.ping({ ack: true }));
  assert.match(bare.said('client').at(-1) ?? '', /ENHANCE_YOUR_CALM$/);
});

test('a gRPC call whose answer has promised its length is reset when it is cut: trailers would break the promise', () => {
  const bare = BareGate.begun();
  bare.from('client', frames.headers(1, GRPC_REQUEST, { end: true }));
  bare.from('server', frames.headers(1, { ':status': '200', 'content-length': '9' }));
  bare.take('client');
  bare.policy.decision = () => ({ permitted: false, label: 'any', rejection: rejection('GRANT_MISSING', 'withdrawn') });
  bare.gate.reconsider();
  assert.deepEqual(bare.said('client'), ['RST_STREAM 1 CANCEL']);
});

test('the last GOAWAY names no stream above the one that the callee named', () => {
  const bare = BareGate.begun();
  for (const id of [1, 3, 5]) bare.from('client', frames.headers(id, REQUEST, { end: true }));
  bare.from('server', frames.goaway(3));
  bare.gate.end(rejection('PEER_LOST', 'gone'));
  const goaways = bare.said('client').filter((line) => line.startsWith('GOAWAY'));
  assert.deepEqual(goaways, ['GOAWAY 3 NO_ERROR', 'GOAWAY 3 NO_ERROR']);
});
