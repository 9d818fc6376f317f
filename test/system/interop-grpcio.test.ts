import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Client, credentials, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { Daemon, findProgram, run } from '../support/debian-program.ts';
import { meshBefore } from '../support/mesh-before.ts';
import { messagesOf, ScriptedServer, type TakenUnary } from '../support/scripted-grpc.ts';
import { within } from '../support/within.ts';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** Debian's own: another interpreter earlier in PATH does not see Debian's packages. */
const PYTHON = '/usr/bin/python3';
const EVERY_BYTE = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const same = (buffer: Buffer) => buffer;

test('grpcio calls grpc-js through two sidecars', async (t) => {
  findProgram('python3', 'python3');
  const server = await ScriptedServer.start(t);
  const socket = await meshBefore(t, server.address);
  const cancelled: string[] = [];
  let [toldOfDeadline, toldOfCancel] = [(): void => undefined, (): void => undefined];
  const deadlineSeen = new Promise<void>((resolve) => (toldOfDeadline = resolve));
  const cancelSeen = new Promise<void>((resolve) => (toldOfCancel = resolve));
  let seen: Metadata | undefined;

  server.answerUnary = ({ call, answer }: TakenUnary) => {
    const asked = call.request.length < 20 ? call.request.toString() : 'large';
    const metadata = new Metadata();
    if (asked === 'deadline') {
      call.once('cancelled', toldOfDeadline);
    } else if (asked === 'fail') {
      metadata.set('grpc-status-details-bin', EVERY_BYTE);
      answer({ code: status.ABORTED, details: 'über 100 %', metadata });
    } else {
      if (asked === 'metadata') {
        seen = call.metadata;
        metadata.set('x-initial', 'before');
        call.sendMetadata(metadata);
      }
      const trailing = new Metadata();
      trailing.set('x-trailing', 'after');
      trailing.set('x-back-bin', EVERY_BYTE);
      answer(null, call.request, trailing);
    }
  };
  const collecting = server.collect.take().then(async ({ call, answer }) => {
    const heard = messagesOf(call);
    await once(call, 'end');
    answer(null, Buffer.from(heard.join(',')));
  });
  const streaming = (async () => {
    const listed = await server.list.take();
    for (let n = 0; n < Number(listed.request); n += 1) listed.write(Buffer.from(String(n)));
    listed.end();
    const chatting = await server.chat.take();
    chatting.on('data', (message: Buffer) => chatting.write(Buffer.from(message.toString().toUpperCase())));
    await once(chatting, 'end');
    chatting.end();
    const endless = await server.list.take();
    cancelled.push(endless.request.toString());
    endless.once('cancelled', toldOfCancel);
    endless.write(Buffer.from('0'));
  })();

  const { code, stdout, stderr } = await run(PYTHON, [here('grpcio/interop_client.py'), `unix:${socket}`]);
  assert.equal(code, 0, stderr);
  await Promise.all([collecting, streaming]);
  const lines = stdout.toString().trim().split('\n');
  assert.deepEqual(
    lines.map((line) => JSON.parse(line) as unknown),
    [
      { name: 'metadata', answer: 'metadata', initial: 'before', trailing: 'after', binary: true },
      { name: 'large', same: true },
      { name: 'collect', answer: 'a,b,c' },
      { name: 'list', answers: ['0', '1', '2', '3', '4'] },
      { name: 'chat', answers: ['X', 'Y'] },
      { name: 'fail', code: 'ABORTED', text: 'über 100 %', details: [...EVERY_BYTE] },
      { name: 'deadline', code: 'DEADLINE_EXCEEDED' },
      { name: 'cancel', first: '0', code: 'CANCELLED' },
    ],
  );
  assert.deepEqual(seen?.get('x-many'), ['one, two']);
  assert.deepEqual(seen.get('x-every-bin'), [EVERY_BYTE]);
  assert.deepEqual(seen.get('x-two-bin'), [Buffer.from([1]), Buffer.alloc(0)]);
  assert.deepEqual(cancelled, ['endless']);
  await within(deadlineSeen, 'the server is told that the deadline has passed');
  await within(cancelSeen, 'the server is told of the cancellation');
});

test('grpc-js calls grpcio through two sidecars', async (t) => {
  const server = new Daemon(t, PYTHON, [here('grpcio/server.py')]);
  const [, address = ''] = await server.says(/ready (\S+)/);
  const socket = await meshBefore(t, address);
  const options = { 'grpc.default_authority': 'researcher', 'grpc.use_local_subchannel_pool': 1 };
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), options);
  t.after(() => client.close());
  const path = (method: string) => `/test.Bytes/${method}`;
  const unary = (method: string, request: Buffer, metadata = new Metadata(), deadline = Infinity) => {
    let initial: Metadata | undefined;
    let trailing: Metadata | undefined;
    return new Promise<{ error: ServiceError | null; answer?: Buffer; initial?: Metadata; trailing?: Metadata }>(
      (resolve) => {
        const got: { error: ServiceError | null; answer?: Buffer } = { error: null };
        const call = client.makeUnaryRequest(
          path(method),
          same,
          same,
          request,
          metadata,
          { deadline },
          (error, answer) => {
            got.error = error;
            if (answer !== undefined) got.answer = answer;
          },
        );
        call.on('metadata', (received) => (initial = received));
        call.on('status', (ended) => {
          trailing = ended.metadata;
          resolve({ ...got, ...(initial !== undefined && { initial }), trailing });
        });
      },
    );
  };

  await t.test('metadata of every kind', async () => {
    const metadata = new Metadata();
    metadata.set('x-first', 'one');
    metadata.set('x-some-bin', EVERY_BYTE);
    const { error, answer, initial, trailing } = await unary('Echo', Buffer.from('hello'), metadata);
    assert.equal(error, null);
    assert.equal(answer?.toString(), 'hello');
    assert.deepEqual(initial?.get('x-first'), ['one']);
    assert.deepEqual(trailing?.get('x-last'), ['done']);
    assert.deepEqual(trailing?.get('x-back-bin'), [EVERY_BYTE]);
  });

  await t.test('3 MB there and back', async () => {
    const large = Buffer.concat(Array.from({ length: 12 * 1024 }, () => EVERY_BYTE));
    assert.ok((await unary('Echo', large)).answer?.equals(large));
  });

  await t.test('an error with its text, and a method that does not exist', async () => {
    const { error } = await unary('Fail', Buffer.from('please'));
    assert.equal(error?.code, status.FAILED_PRECONDITION);
    assert.equal(error.details, 'not today: please');
    assert.equal((await unary('Nowhere', Buffer.alloc(0))).error?.code, status.UNIMPLEMENTED);
  });

  await t.test('a deadline: both sides see it pass', async () => {
    const { error } = await unary('Hang', Buffer.from('deadline-js'), new Metadata(), Date.now() + 500);
    assert.equal(error?.code, status.DEADLINE_EXCEEDED);
    await server.says(/over deadline-js/);
  });

  await t.test('streams of each type', async () => {
    const counted = client.makeServerStreamRequest(path('Count'), same, same, Buffer.from('1000'));
    const numbers = messagesOf(counted);
    await once(counted, 'end');
    assert.deepEqual(
      numbers.map(String),
      Array.from({ length: 1000 }, (_, n) => String(n)),
    );
    const joined = await new Promise<Buffer | undefined>((resolve, reject) => {
      const call = client.makeClientStreamRequest(path('Collect'), same, same, (error, answer) =>
        error === null ? resolve(answer) : reject(error),
      );
      for (const text of ['a', 'b', 'c']) call.write(Buffer.from(text));
      call.end();
    });
    assert.equal(joined?.toString(), 'a,b,c');
    const chat = client.makeBidiStreamRequest(path('Chat'), same, same);
    const answers = messagesOf(chat);
    for (const text of ['x', 'y']) chat.write(Buffer.from(text));
    chat.end();
    await once(chat, 'end');
    assert.deepEqual(answers.map(String), ['X', 'Y']);
  });

  await t.test('a cancellation in the middle of a stream: the server is told', async () => {
    const stream = client.makeServerStreamRequest(path('Forever'), same, same, Buffer.from('cancelled-js'));
    const ended = new Promise<ServiceError>((resolve) => stream.once('error', resolve));
    await once(stream, 'data');
    stream.cancel();
    assert.equal((await ended).code, status.CANCELLED);
    await server.says(/over cancelled-js/);
  });
});
