import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test, type TestContext } from 'node:test';
import { rejection } from '../../../src/domain/rejection.ts';
import { createRegistry } from '../../../src/platform/metrics-registry.ts';
import type { AuthorityChannel } from '../../../src/membership/authority-channel.ts';
import type { Decision } from '../../../src/sidecar/decision-log.ts';
import { Reporter } from '../../../src/sidecar/reporter.ts';
import type { Session } from '../../../src/sidecar/session/session.ts';
import { createSidecarMetrics } from '../../../src/sidecar/sidecar-metrics.ts';
import type { OwnStatus } from '../../../src/sidecar/wire-report.ts';
import type { ReportRequest } from '../../../src/wire/generated/ait/v1/ReportRequest.ts';
import { toServiceError } from '../../../src/wire/error-status.ts';
import { pollUntil } from '../../support/poll-until.ts';

/** The authority's end of a report stream. */
class FakeStream extends EventEmitter {
  readonly written: ReportRequest[] = [];
  write(request: ReportRequest): boolean {
    this.written.push(request);
    return true;
  }
  cancel(): void {
    this.emit('error', new Error('cancelled'));
  }
  acknowledge(): void {
    this.emit('data', { acknowledged: this.written.at(-1)?.sequence ?? 0, question: null });
  }
}

function decision(id: string): Decision {
  return {
    at: 1,
    outcome: 'denied',
    correlationId: id,
    subject: 'spiffe://acme.example/agent/researcher',
    direction: 'outbound',
    remoteAddress: '127.0.0.1:1',
    rejection: rejection('TOOLS_DRIFT', 'differs', {
      nearestBaseline: 'b-1',
      differences: Array.from({ length: 30 }, (_, index) => ({
        dimension: 'tools' as const,
        item: `tool-${index}`,
        expected: 'e'.repeat(2_000),
        observed: undefined,
      })),
      clocks: { ours: 5, theirs: 6, what: 'end of the token' },
    }),
  };
}

function setUp(t: TestContext) {
  const streams: FakeStream[] = [];
  const registry = createRegistry({ defaultMetrics: false });
  let status: OwnStatus = {
    version: '1',
    measurement: {
      ok: false,
      rejection: rejection('MEASUREMENT_UNREADABLE', 'no'),
      dimension: 'tools',
      at: 0,
      serial: 0,
    },
    baseline: undefined,
    rejection: undefined,
    blockers: [{ name: 'join', reason: 'not yet' }],
  };
  const sessions: Session[] = [];
  const reporter = new Reporter({
    random: { bytes: (count) => Buffer.alloc(count), uniform: () => 0 },
    metrics: createSidecarMetrics(registry),
    channel: () =>
      ({
        client: () => ({
          Report: () => {
            const stream = new FakeStream();
            streams.push(stream);
            return stream;
          },
        }),
      }) as unknown as AuthorityChannel,
    sessions: () => sessions,
    status: () => status,
    answer: ({ id }) => ({ id, answer: 'unavailable', unavailable: 'a test' }),
  });
  t.after(() => reporter.stop());
  return {
    reporter,
    streams,
    setStatus: (more: Partial<OwnStatus>) => (status = { ...status, ...more }),
    dropped: async () => {
      const line = (await registry.render()).split('\n').find((each) => each.startsWith('ait_reports_dropped_total'));
      return Number(line?.split(' ')[1]);
    },
  };
}

const written = (stream: FakeStream | undefined, count: number) =>
  pollUntil(
    () => stream?.written ?? [],
    (requests) => requests.length >= count,
  );

test('a stream begins with the status and the sessions; then only what changed is sent', async (t) => {
  const { reporter, streams, setStatus } = setUp(t);
  reporter.start();
  const [stream] = streams;
  const [first] = await written(stream, 1);
  assert.equal(first?.status?.blockers?.[0]?.name, 'join');
  assert.deepEqual(first?.sessions, { sessions: [] });
  stream?.acknowledge();
  reporter.changed();
  setStatus({ blockers: [], baseline: 'b-1' });
  reporter.changed();
  const [, second] = await written(stream, 2);
  assert.equal(second?.status?.baseline, 'b-1');
  assert.equal(second?.sessions, undefined);
  assert.equal(second?.sequence, 2);
});

test('decisions are sent in full, within bounds', async (t) => {
  const { reporter, streams } = setUp(t);
  reporter.start();
  streams[0]?.acknowledge();
  for (let index = 0; index < 100; index += 1) reporter.add(decision(`c-${index}`));
  const [, request] = await written(streams[0], 2);
  const [sent] = request?.decisions ?? [];
  assert.equal(sent?.differences?.length, 20);
  assert.equal(sent?.differences?.[0]?.expected?.length, 500);
  assert.equal(sent?.nearestBaseline, 'b-1');
  assert.equal(sent?.ourClockMs, 5);
  assert.ok(Buffer.byteLength(JSON.stringify(request)) < 200 * 1024, 'the authority takes 256 KiB');
});

test('what was not acknowledged is sent again after a reconnect, status included', async (t) => {
  const { reporter, streams } = setUp(t);
  reporter.start();
  streams[0]?.acknowledge();
  reporter.add(decision('c-1'));
  await written(streams[0], 2);
  streams[0]?.emit('error', new Error('gone'));
  await pollUntil(
    () => streams.length,
    (count) => count === 2,
  );
  const [again] = await written(streams[1], 1);
  assert.equal(again?.decisions?.[0]?.correlationId, 'c-1');
  assert.equal(again?.sequence, 1);
  assert.ok(again?.status !== undefined && again.sessions !== undefined);
  streams[1]?.acknowledge();
  reporter.add(decision('c-2'));
  const [, next] = await written(streams[1], 2);
  assert.deepEqual(
    next?.decisions?.map(({ correlationId }) => correlationId),
    ['c-2'],
  );
});

test('a full queue drops and counts, and the count is told once', async (t) => {
  const { reporter, streams, dropped } = setUp(t);
  for (let index = 0; index < 600; index += 1) reporter.add(decision(`c-${index}`));
  assert.equal(await dropped(), 100);
  reporter.start();
  const [first] = await written(streams[0], 1);
  assert.equal(first?.dropped, 100);
  streams[0]?.acknowledge();
  const [, second] = await written(streams[0], 2);
  assert.equal(second?.dropped, 0);
});

test('a report that the authority refuses does not come back for ever', async (t) => {
  const { reporter, streams, dropped } = setUp(t);
  reporter.start();
  streams[0]?.acknowledge();
  reporter.add(decision('poison'));
  await written(streams[0], 2);
  streams[0]?.emit('error', toServiceError({ grpc: 'INVALID_ARGUMENT', code: 'REPORT_INVALID', message: 'no' }));
  await pollUntil(
    () => streams.length,
    (count) => count === 2,
  );
  const [again] = await written(streams[1], 1);
  assert.deepEqual(again?.decisions, []);
  assert.equal(again?.dropped, 1);
  assert.equal(await dropped(), 1);
});

test('a question is answered at once, also while a report is under way', async (t) => {
  const { reporter, streams } = setUp(t);
  reporter.start();
  const [stream] = streams;
  await written(stream, 1);
  stream?.emit('data', { acknowledged: 0, question: { id: 'q-1', operator: 'ada', question: 'promptDifference' } });
  const [, answer] = await written(stream, 2);
  assert.equal(answer?.sequence, 2);
  assert.equal(answer?.answer?.id, 'q-1');
});
