import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readLatencies, readSummary } from '../../../../bench/support/dataplane/h2load.ts';

/** As h2load of nghttp2 1.52.0 ends. */
function summary({ time = '1.25s', succeeded = 30_000, data = '2.86MB (3000000) data' } = {}): string {
  return `starting benchmark...
progress: 100% done

finished in ${time}, 24000.00 req/s, 4.02MB/s
requests: 30000 total, 30000 started, 30000 done, ${succeeded} succeeded, 0 failed, 0 errored, 0 timeout
status codes: 30000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 5.03MB (5270123) total, 1.41MB (1480000) headers (space savings 60.00%), ${data}
                     min         max         mean         sd        +/- sd
time for request:      441us     11.87ms      4.02ms      1.21ms    70.10%
`;
}

describe("h2load's summary", () => {
  test('gives seconds, successes and the exact bytes of data', () => {
    assert.deepEqual(readSummary(summary()), { seconds: 1.25, succeeded: 30_000, dataBytes: 3_000_000 });
  });

  for (const [time, seconds] of [
    ['812.50ms', 0.8125],
    ['950us', 0.00095],
    ['1.50m', 90],
  ] as const) {
    test(`${time} are ${seconds} seconds`, () => {
      assert.ok(Math.abs(readSummary(summary({ time })).seconds - seconds) < 1e-9);
    });
  }

  test('calls that did not succeed are seen', () => {
    assert.equal(readSummary(summary({ succeeded: 29_999 })).succeeded, 29_999);
  });

  test('is not guessed at where a part of it is missing', () => {
    assert.throws(() => readSummary(summary({ data: '2.86MB' })), /h2load says nothing of it/);
    assert.throws(() => readSummary(summary({ time: 'a while' })), /h2load says nothing of it/);
    assert.throws(() => readSummary(''), /h2load says nothing of it/);
  });
});

test("h2load's log gives the time of each call", () => {
  assert.deepEqual(readLatencies('1764227000000000\t200\t412\n1764227000000500\t200\t398\n'), [412, 398]);
});
