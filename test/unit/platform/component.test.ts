import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMeshError } from '../../../src/domain/mesh-error.ts';
import { ComponentStack, type Component, type StopOptions } from '../../../src/platform/component.ts';

const STOP = { deadlineMs: 1_000 };

/** A component that writes down what happens to it. */
function recorder(journal: string[]) {
  return (name: string, parts: Partial<Pick<Component, 'start' | 'stop'>> = {}): Component => ({
    name,
    start: async (signal) => {
      journal.push(`start ${name}`);
      await parts.start?.(signal);
    },
    stop: async (options) => {
      journal.push(`stop ${name}`);
      await parts.stop?.(options);
    },
  });
}
const never = () => new Promise<void>(() => undefined);
const fail = (message: string) => () => Promise.reject(new Error(message));

test('components start in order and stop in reverse, once each', async () => {
  const journal: string[] = [];
  const make = recorder(journal);
  const stack = new ComponentStack([make('a'), make('b')]);
  await Promise.all([stack.start(), stack.start()]);
  await Promise.all([stack.stop(STOP), stack.stop(STOP)]);
  assert.deepEqual(journal, ['start a', 'start b', 'stop b', 'stop a']);
});

test('the first failure to start stops what has started, itself included, and names it with its cause', async () => {
  const journal: string[] = [];
  const make = recorder(journal);
  const stack = new ComponentStack([make('a'), make('b', { start: fail('port in use') }), make('c')]);
  await assert.rejects(
    stack.start(),
    (error) =>
      isMeshError(error, 'START_FAILED') &&
      error.message.startsWith('b did not start: port in use') &&
      error.cause instanceof Error,
  );
  assert.deepEqual(journal, ['start a', 'start b', 'stop b', 'stop a']);
});

test('a component that fails to stop does not keep the others, and all failures are told', async () => {
  const journal: string[] = [];
  const make = recorder(journal);
  const stack = new ComponentStack([make('a', { stop: fail('x') }), make('b'), make('c', { stop: fail('y') })]);
  await stack.start();
  await assert.rejects(stack.stop(STOP), (error) => {
    assert.ok(isMeshError(error, 'STOP_FAILED') && error.cause instanceof AggregateError);
    assert.match(error.message, /c, a$/);
    assert.equal(error.cause.errors.length, 2);
    return true;
  });
  assert.deepEqual(journal.slice(3), ['stop c', 'stop b', 'stop a']);
});

test('stopping is bounded: one that hangs is left behind and the next is still told to stop, with no time left', async () => {
  const journal: string[] = [];
  const make = recorder(journal);
  let left: number | undefined;
  const note = async (options: StopOptions): Promise<void> => void (left = options.deadlineMs);
  const stack = new ComponentStack([make('a', { stop: note }), make('b', { stop: never })]);
  await stack.start();
  await assert.rejects(stack.stop({ deadlineMs: 20 }), (error) => isMeshError(error, 'STOP_FAILED'));
  assert.deepEqual(journal.slice(2), ['stop b', 'stop a']);
  assert.equal(left, 0);
});

test('stop during start aborts the start, waits for it, and stops what has begun', async () => {
  const journal: string[] = [];
  const make = recorder(journal);
  const slow = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        journal.push('b bound late');
        resolve();
      });
    });
  const stack = new ComponentStack([make('a'), make('b', { start: slow }), make('c')]);
  const starting = assert.rejects(stack.start(), (error) => isMeshError(error, 'START_FAILED'));
  await new Promise(setImmediate);
  await stack.stop(STOP);
  await starting;
  assert.deepEqual(journal, ['start a', 'start b', 'b bound late', 'stop b', 'stop a']);
});

test('an aborted signal ends starting, and means nothing once all have started', async () => {
  const journal: string[] = [];
  const make = recorder(journal);
  const early = new ComponentStack([make('a')]);
  await assert.rejects(early.start(AbortSignal.abort(new Error('SIGTERM'))), /SIGTERM/);
  assert.deepEqual(journal, []);
  const controller = new AbortController();
  let seen: AbortSignal | undefined;
  const stack = new ComponentStack([make('a', { start: async (signal) => void (seen = signal) })]);
  await stack.start(controller.signal);
  controller.abort();
  await stack.stop(STOP);
  assert.equal(seen?.aborted, false);
});

test('a stack stopped before it was started does not start', async () => {
  const journal: string[] = [];
  const stack = new ComponentStack([recorder(journal)('a')]);
  await stack.stop(STOP);
  await assert.rejects(stack.start(), (error) => isMeshError(error, 'START_FAILED'));
  assert.deepEqual(journal, []);
});

test('a component that throws at once counts as failed, like one that rejects', async () => {
  const bad: Component = {
    name: 'bad',
    start: () => Promise.resolve(),
    stop: () => {
      throw new Error('at once');
    },
  };
  const stack = new ComponentStack([bad]);
  await stack.start();
  await assert.rejects(stack.stop(STOP), (error) => isMeshError(error, 'STOP_FAILED'));
});

test('two components of one name are refused', () => {
  const make = recorder([]);
  assert.throws(() => new ComponentStack([make('a'), make('a')]), RangeError);
});
