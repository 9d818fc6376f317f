import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Http2Drain } from '../../../src/dataplane/http2-drain.ts';
import { frames } from '../../support/http2-bytes.ts';

const ANY = 0x7fff_ffff;

/** A connection in the test's hands: what the client has been sent, and the drain that watches. */
function connection() {
  const sent: Buffer[] = [];
  const drain = new Http2Drain((frame) => sent.push(frame));
  return {
    drain,
    toClient: () => Buffer.concat(sent),
    fromClient: (...parts: Buffer[]) => drain.fromClient(Buffer.concat(parts)),
    fromServer: (...parts: Buffer[]) => {
      const chunk = Buffer.concat(parts);
      sent.push(...(drain.fromServer(chunk) ?? [chunk]));
    },
  };
}

function opened() {
  const made = connection();
  made.fromClient(frames.preface, frames.settings(), frames.headers(1, { end: true }), frames.headers(3));
  made.fromServer(frames.settings(), frames.settingsAck());
  return made;
}

test('the client is asked at once where the server is between two frames', () => {
  const { drain, toClient, fromServer } = opened();
  drain.begin();
  assert.deepEqual(toClient(), Buffer.concat([frames.settings(), frames.settingsAck(), frames.goaway(ANY)]));
  fromServer(frames.headers(1));
  assert.equal(
    toClient().length,
    Buffer.concat([frames.settings(), frames.settingsAck(), frames.goaway(ANY), frames.headers(1)]).length,
    'asked once',
  );
});

test('within a frame it waits for the end of that frame, and splits the chunk there', () => {
  const { drain, toClient, fromServer } = opened();
  const data = frames.data(1, { bytes: 100 });
  fromServer(data.subarray(0, 50));
  drain.begin();
  fromServer(data.subarray(50), frames.data(1, { end: true }).subarray(0, 3));
  const expected = [frames.settings(), frames.settingsAck(), data, frames.goaway(ANY), frames.data(1, { end: true })];
  fromServer(frames.data(1, { end: true }).subarray(3));
  assert.deepEqual(toClient(), Buffer.concat(expected));
});

test('never within a header block, and never before the SETTINGS of the server', () => {
  const { drain, toClient, fromServer } = opened();
  fromServer(frames.headers(1, { endHeaders: false }));
  drain.begin();
  fromServer(frames.continuation(1, { endHeaders: false }), frames.continuation(1), frames.ping());
  const block = [
    frames.headers(1, { endHeaders: false }),
    frames.continuation(1, { endHeaders: false }),
    frames.continuation(1),
  ];
  assert.deepEqual(
    toClient(),
    Buffer.concat([frames.settings(), frames.settingsAck(), ...block, frames.goaway(ANY), frames.ping()]),
  );

  const early = connection();
  early.fromClient(frames.preface, frames.settings());
  early.drain.begin();
  assert.equal(early.toClient().length, 0);
  early.fromServer(frames.settings(), frames.ping());
  assert.deepEqual(early.toClient(), Buffer.concat([frames.settings(), frames.goaway(ANY), frames.ping()]));
});

test('a server that speaks before the client is recognised all the same', () => {
  const { drain, toClient, fromServer, fromClient } = connection();
  fromServer(frames.settings());
  drain.begin();
  assert.equal(drain.recognised, false);
  fromClient(frames.preface.subarray(0, 10));
  assert.deepEqual(toClient(), frames.settings());
  fromClient(frames.preface.subarray(10), frames.settings());
  assert.equal(drain.recognised, true);
  assert.deepEqual(toClient(), Buffer.concat([frames.settings(), frames.goaway(ANY)]));
});

test('after the GOAWAY of the server there is none of ours: the last stream must not rise again', () => {
  const own = frames.goaway(1);
  const before = opened();
  before.fromServer(own);
  before.drain.begin();
  before.fromServer(frames.ping());
  assert.deepEqual(before.toClient(), Buffer.concat([frames.settings(), frames.settingsAck(), own, frames.ping()]));
  assert.equal(before.drain.lastWords(), undefined);

  const inTheSameChunk = opened();
  inTheSameChunk.fromServer(frames.ping().subarray(0, 4));
  inTheSameChunk.drain.begin();
  inTheSameChunk.fromServer(frames.ping().subarray(4), own);
  const all = inTheSameChunk.toClient();
  assert.deepEqual(all.subarray(-own.length), own, 'theirs comes last, and is lower');
});

describe('which streams are open', () => {
  test('one ends when both sides have ended it', () => {
    const { drain, fromServer, fromClient } = opened();
    assert.equal(drain.openStreams, 2);
    fromServer(frames.headers(1), frames.data(1), frames.headers(1, { end: true }));
    assert.equal(drain.openStreams, 1);
    fromServer(frames.headers(3, { end: true }));
    assert.equal(drain.openStreams, 1, 'the client has not ended it');
    assert.equal(drain.idle, false);
    fromClient(frames.data(3, { end: true }));
    assert.deepEqual([drain.openStreams, drain.idle], [0, true]);
  });

  test('or when either resets it', () => {
    for (const side of ['fromServer', 'fromClient'] as const) {
      const made = opened();
      made[side](frames.reset(1), frames.reset(3));
      assert.equal(made.drain.openStreams, 0);
    }
  });

  test('it is not over before the last byte has passed', () => {
    const { drain, fromServer } = opened();
    fromServer(frames.reset(3));
    const last = frames.data(1, { end: true, bytes: 50 });
    fromServer(last.subarray(0, 20));
    assert.deepEqual([drain.openStreams, drain.idle], [0, false]);
    fromServer(last.subarray(20));
    assert.equal(drain.idle, true);
  });

  test('the flag that ends a stream means other things on other frames', () => {
    const { drain, fromServer } = opened();
    fromServer(frames.settingsAck(), frames.ping());
    assert.equal(drain.openStreams, 2);
  });

  test('more than are followed: it never counts as idle again, and costs no more memory', () => {
    const { drain, fromServer, fromClient } = opened();
    for (let id = 5; id < 5 + 2 * 5000; id += 2) fromClient(frames.headers(id, { end: true }));
    for (let id = 1; id < 5 + 2 * 5000; id += 2) fromServer(frames.reset(id));
    assert.deepEqual([drain.openStreams, drain.idle], [Infinity, false]);
  });
});

test('the last words name the last stream that was seen', () => {
  const { drain, fromClient } = opened();
  fromClient(frames.headers(7, { end: true }));
  assert.deepEqual(drain.lastWords(), frames.goaway(7));
});

describe('what is not HTTP/2 is left alone', () => {
  for (const [name, client, server] of [
    ['HTTP/1.1', 'GET / HTTP/1.1\r\nhost: x\r\n\r\n', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'],
    ['almost the preface', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n', 'whatever else there is'],
    ['a server that does not answer in HTTP/2', frames.preface.toString('latin1'), 'HTTP/1.1 400 Bad Request\r\n\r\n'],
  ] as const) {
    test(name, () => {
      const { drain, toClient, fromClient, fromServer } = connection();
      fromClient(Buffer.from(client, 'latin1'));
      drain.begin();
      fromServer(Buffer.from(server, 'latin1'));
      assert.equal(toClient().toString('latin1'), server);
      assert.deepEqual([drain.recognised, drain.idle, drain.lastWords()], [false, false, undefined]);
    });
  }
});
