import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Http1Mesh } from '../support/http1-mesh.ts';
import { valuesOf, type StrictMessage } from '../support/strict-http1.ts';

/** One malformed request, and what must become of it. */
interface HostileRequest {
  readonly name: string;
  /** Latin-1; a piece may be repeated. */
  readonly request: readonly (string | { readonly repeat: string; readonly times: number })[];
  /** What the caller is answered. */
  readonly status: number;
  /** How much of it the callee may see: at most its head and part of its body, or all. Default: nothing. */
  readonly reaches?: 'head' | 'whole';
}

const CASES = JSON.parse(
  readFileSync(new URL('../vectors/http1/hostile-requests.json', import.meta.url), 'utf8'),
) as readonly HostileRequest[];

const bytesOf = ({ request }: HostileRequest): Buffer =>
  Buffer.from(
    request.map((piece) => (typeof piece === 'string' ? piece : piece.repeat.repeat(piece.times))).join(''),
    'latin1',
  );

test('there are at least 100 malformed requests', () => {
  assert.ok(CASES.filter(({ status }) => status !== 200).length >= 100);
});

test('a hostile agent: each request is refused with its status, a cause and a fix, and none reaches the callee', async (t) => {
  const world = await Http1Mesh.start(t);
  const { planner, server } = world;
  for (const hostile of CASES) {
    await t.test(hostile.name, async () => {
      const [taken, received] = [server.taken.length, server.bytes.length];
      const caller = world.connect().write(bytesOf(hostile));
      const answer = await caller.answer();
      assert.equal(answer.status, hostile.status, answer.body.toString());
      if (hostile.status !== 200) {
        assert.equal(answer.header('content-type'), 'application/problem+json');
        const { code, detail = '', action = '', correlation_id: id } = answer.problem();
        assert.equal(answer.header('x-ait-refused'), code);
        assert.ok(detail.length > 20 && action.length > 20, 'it names the cause and the fix');
        assert.equal(answer.header('x-ait-correlation-id'), id);
        await caller.closed;
      }
      await world.planner.status();
      caller.socket.destroy();
      assert.deepEqual(server.problems, [], 'what the callee got can be read in one way only');
      const whole = hostile.reaches === 'whole' ? 1 : 0;
      assert.equal(server.taken.length - taken, whole, 'complete requests that reached the callee');
      if (hostile.reaches === undefined) assert.equal(server.bytes.length, received, 'not a byte passed');
      if (whole === 1) assertOrderly(server.taken.at(-1)!);
    });
  }

  await t.test('both sidecars are the processes that they were, and the next request passes', async () => {
    assert.equal((await world.call('/after')).status, 200);
    assert.deepEqual([planner.processes.length, world.researcher.processes.length], [1, 1]);
  });

  await t.test('each is counted, and on record', async () => {
    const refused = CASES.filter(({ status }) => status === 400).length;
    const counted = await planner.metric('ait_calls_total', { peer: 'researcher', code: '4xx', source: 'sidecar' });
    assert.ok(counted >= refused, `${counted} of ${refused}`);
    assert.ok((await planner.codes()).includes('HTTP1_MALFORMED'));
  });
});

/** What only sidecars say is said once and truly; nothing of the connection, or of another message, went on. */
function assertOrderly({ headers, trailers, line }: StrictMessage): void {
  assert.match(line, /^(?:GET|POST) \/(?:x|\?q)? HTTP\/1\.1$/);
  assert.deepEqual(valuesOf(headers, 'x-ait-peer-agent'), ['planner']);
  const ours = new Set(['x-ait-peer-spiffe-id', 'x-ait-peer-agent', 'x-ait-peer-instance', 'x-ait-peer-baseline']);
  for (const [name] of [...headers, ...trailers]) {
    const lower = name.toLowerCase();
    assert.ok(!/^x[^a-z0-9]ait/.test(lower) || ours.has(lower), name);
    assert.ok(
      !['connection', 'keep-alive', 'upgrade', 'http2-settings', 'x-mine', 'te', 'authorization'].includes(lower),
      name,
    );
  }
  assert.equal(valuesOf(headers, 'traceparent').length, 1);
}
