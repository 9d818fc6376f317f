import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';
import { status } from '@grpc/grpc-js';
import { meshBefore } from '../support/mesh-before.ts';
import { ScriptedCaller, ScriptedServer } from '../support/scripted-grpc.ts';
import { pollUntil } from '../support/poll-until.ts';

const MESSAGE_BYTES = 64 * 1024;
const MESSAGES = 400;
/** Streams and sockets on the way keep some, but by far not all of the 25 MB. */
const HELD_BY = 80;

interface Sink {
  write(message: Buffer): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

/** Writes as fast as it may, and says how far it got. */
class EagerWriter {
  readonly hash = createHash('sha256');
  written = 0;
  held = 0;

  async run(sink: Sink & NodeJS.EventEmitter): Promise<void> {
    for (let n = 0; n < MESSAGES; n += 1) {
      const message = randomBytes(MESSAGE_BYTES);
      this.hash.update(message);
      this.written += 1;
      if (sink.write(message)) continue;
      this.held += 1;
      await once(sink, 'drain');
    }
  }

  /** Until it stands still: a quarter of a second without another message. */
  async standsStill(): Promise<void> {
    const [seen, still] = [{ written: -1 }, { looks: 0 }];
    await pollUntil(
      () => {
        still.looks = this.written === seen.written ? still.looks + 1 : 0;
        seen.written = this.written;
        return still.looks;
      },
      (looks) => looks >= 13 && this.held > 0,
    );
  }
}

test('grpc-js on both sides, through two sidecars: a slow reader holds a fast writer, and nothing is lost', async (t) => {
  const server = await ScriptedServer.start(t);
  const caller = new ScriptedCaller(t, await meshBefore(t, server.address));
  const assertOthersGetThrough = async () => {
    for (let n = 0; n < 3; n += 1) {
      const request = randomBytes(100_000);
      const { outcome } = caller.unary(request);
      const { call, answer } = await server.unary.take();
      answer(null, call.request);
      assert.ok((await outcome).messages[0]?.equals(request));
    }
  };

  // Not the other way round: a client of grpc-js keeps without limit what its caller does not read.
  await t.test('the server reads slowly', async () => {
    const { call, outcome } = caller.collect();
    const { call: taken, answer } = await server.collect.take();
    const writer = new EagerWriter();
    const writing = writer.run(call).then(() => call.end());
    await writer.standsStill();
    assert.ok(writer.written < HELD_BY, `${writer.written} of ${MESSAGES} were written to nobody`);
    await assertOthersGetThrough();
    const hash = createHash('sha256');
    let messages = 0;
    for await (const message of taken as AsyncIterable<Buffer>) {
      hash.update(message);
      messages += 1;
    }
    await writing;
    answer(null, Buffer.from(hash.digest('hex')));
    assert.equal(messages, MESSAGES);
    assert.equal((await outcome).messages[0]?.toString(), writer.hash.digest('hex'));
  });

  await t.test('a reader that never reads and gives up leaves the connection as it was', async () => {
    const { call, outcome } = caller.list(Buffer.from('x'), { read: false });
    const taken = await server.list.take();
    const writer = new EagerWriter();
    const cancelled = once(taken, 'cancelled');
    const writing = writer.run(taken);
    await writer.standsStill();
    call.cancel();
    await cancelled;
    assert.equal((await outcome).status.code, status.CANCELLED);
    await writing;
    await assertOthersGetThrough();
  });
});
