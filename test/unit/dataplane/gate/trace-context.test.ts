import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TraceStarter, receivedTraceparent } from '../../../../src/dataplane/gate/trace-context.ts';
import { systemRandom, type RandomSource } from '../../../../src/platform/random.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const VALID = `00-${TRACE}-${PARENT}-01`;

function received(...values: string[]): string | undefined {
  return receivedTraceparent([
    { name: ':path', value: '/' },
    ...values.map((value) => ({ name: 'traceparent', value })),
    { name: 'tracestate', value: 'vendor=1' },
  ]);
}

test('a valid traceparent is passed on as it is, sampled or not, and with flags that nobody knows yet', () => {
  for (const flags of ['00', '01', '02', 'ff']) {
    const value = `00-${TRACE}-${PARENT}-${flags}`;
    assert.equal(received(value), value);
  }
});

test('a later version is passed on as far as it begins like ours', () => {
  for (const value of [`cc-${TRACE}-${PARENT}-01`, `cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`]) {
    assert.equal(received(value), value);
  }
  for (const value of [`cc-${TRACE}-${PARENT}-01.what`, `cc-${TRACE}-${PARENT}-0`, `cc-${TRACE}-${PARENT}`]) {
    assert.equal(received(value), undefined, value);
  }
});

const INVALID: Readonly<Record<string, string>> = {
  'an empty one': '',
  'the forbidden version': `ff-${TRACE}-${PARENT}-01`,
  'more than version 00 has': `${VALID}-more`,
  'a dash too many': `${VALID}-`,
  'a trace of zeros': `00-${'0'.repeat(32)}-${PARENT}-01`,
  'a parent of zeros': `00-${TRACE}-${'0'.repeat(16)}-01`,
  'upper case': VALID.toUpperCase(),
  'no hexadecimal': VALID.replace('4bf9', '4bfg'),
  'a short trace': `00-${TRACE.slice(1)}-${PARENT}-01`,
  'other separators': VALID.replaceAll('-', '_'),
  'space around it': ` ${VALID}`,
  'a line end': `${VALID.slice(0, -1)}\n`,
};

for (const [what, value] of Object.entries(INVALID)) {
  test(`no traceparent is ${what}`, () => assert.equal(received(value), undefined));
}

test('without one there is none, and of two neither counts, not even where they agree', () => {
  assert.equal(received(), undefined);
  assert.equal(received(VALID, VALID), undefined);
  assert.equal(received('', VALID), undefined);
});

test('what is started is valid, differs each time, and draws randomness seldom', () => {
  let draws = 0;
  const random: RandomSource = {
    ...systemRandom,
    bytes: (count) => {
      draws += 1;
      return systemRandom.bytes(count);
    },
  };
  const starter = new TraceStarter(random);
  const started = Array.from({ length: 1000 }, () => starter.start());
  for (const value of started) assert.equal(received(value), value);
  assert.equal(new Set(started.map((value) => value.slice(3, 35))).size, 1000);
  assert.equal(new Set(started.map((value) => value.slice(36, 52))).size, 1000);
  assert.ok(draws <= 4, `${draws} draws`);
});

test('ids of zeros, which are invalid, are drawn again', () => {
  const bytes = [Buffer.alloc(24 * 256), Buffer.alloc(24 * 256, 1)];
  const starter = new TraceStarter({ ...systemRandom, bytes: () => bytes.shift() ?? Buffer.alloc(0) });
  assert.equal(starter.start(), `00-${'01'.repeat(16)}-${'01'.repeat(8)}-01`);
});
