import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rejection } from '../../../../src/domain/rejection.ts';
import { CircuitBreaker } from '../../../../src/sidecar/session/circuit-breaker.ts';

const UNREACHABLE = rejection('PEER_UNREACHABLE', '10.0.0.1:17443: refused');
const DRIFT = rejection('SYSTEM_PROMPT_DRIFT', 'another prompt');
const AT_EXCHANGE = { atExchange: true };
const AFTER_IT = { atExchange: false };

/** Chance draws the end of every range, almost. */
function breakerOf({ threshold = 3 } = {}) {
  let now = 0;
  const told: boolean[] = [];
  const breaker = new CircuitBreaker({
    clock: { now: () => now, monotonic: () => now },
    random: { bytes: (count) => Buffer.alloc(count), uniform: () => 0.999 },
    threshold: () => threshold,
    onChange: ({ isOpen }) => void told.push(isOpen),
  });
  const pass = (ms: number) => void (now += ms);
  const failAgain = (cause = UNREACHABLE, how = AT_EXCHANGE) => {
    pass(60_000);
    assert.equal(breaker.refusal(), undefined);
    breaker.failed(cause, how);
  };
  return { breaker, told, pass, failAgain };
}

test('after a refused exchange its own cause is the answer for a while; after too many it is CIRCUIT_OPEN, and says why', () => {
  const { breaker, told, pass, failAgain } = breakerOf();
  assert.equal(breaker.refusal(), undefined);
  breaker.failed(UNREACHABLE, AT_EXCHANGE);
  assert.equal(breaker.refusal(), UNREACHABLE);
  assert.equal(breaker.state, 'resting');
  pass(1000);
  assert.equal(breaker.refusal(), undefined);
  assert.equal(breaker.state, 'closed');
  failAgain();
  assert.deepEqual(told, []);
  failAgain();
  assert.deepEqual(told, [true]);
  const refused = breaker.refusal();
  assert.equal(refused?.code, 'CIRCUIT_OPEN');
  assert.match(refused?.detail ?? '', /3 failures in a row.*PEER_UNREACHABLE: 10\.0\.0\.1/);
});

test('half open: one may try at a time; its success closes, its failure opens for longer, its silence lets another try', () => {
  const { breaker, told, pass, failAgain } = breakerOf();
  for (let failure = 0; failure < 3; failure += 1) failAgain();
  const firstRest = breaker.restsForMs;
  pass(firstRest + 1);
  assert.equal(breaker.state, 'half_open');
  assert.equal(breaker.refusal(), undefined, 'the one that tries');
  assert.equal(breaker.refusal()?.code, 'CIRCUIT_OPEN', 'while it does');
  breaker.failed(UNREACHABLE, AT_EXCHANGE);
  assert.equal(breaker.state, 'open');
  assert.ok(breaker.restsForMs > firstRest, `${breaker.restsForMs} ms after ${firstRest}`);

  pass(60_000);
  assert.equal(breaker.refusal(), undefined);
  pass(14_000);
  assert.equal(breaker.refusal()?.code, 'CIRCUIT_OPEN');
  pass(1_001);
  assert.equal(breaker.refusal(), undefined, 'the first was never heard of again');
  breaker.settled();
  assert.equal(breaker.refusal(), undefined, 'the first said nothing about health');
  breaker.close();
  assert.deepEqual([breaker.refusal(), breaker.refusal(), breaker.state], [undefined, undefined, 'closed']);
  assert.deepEqual(told, [true, false]);
});

test('what admission found never opens it: the cause stays the answer however often it is found', () => {
  const { breaker, told, failAgain } = breakerOf();
  failAgain();
  failAgain();
  for (let failure = 0; failure < 10; failure += 1) failAgain(DRIFT);
  assert.equal(breaker.refusal(), DRIFT);
  failAgain();
  assert.equal(breaker.refusal(), UNREACHABLE, 'and it began to count anew');
  assert.deepEqual(told, []);
});

test('where there is a session nothing rests before it opens, and then never for longer than five seconds', () => {
  const { breaker, failAgain } = breakerOf();
  failAgain(UNREACHABLE, AFTER_IT);
  failAgain(UNREACHABLE, AFTER_IT);
  assert.equal(breaker.refusal(), undefined);
  for (let failure = 0; failure < 20; failure += 1) {
    failAgain(UNREACHABLE, AFTER_IT);
    assert.ok(breaker.restsForMs > 0 && breaker.restsForMs <= 5000, `${breaker.restsForMs} ms`);
  }
});

test('failures that were under way together count once', () => {
  const { breaker, pass } = breakerOf();
  for (let failure = 0; failure < 50; failure += 1) breaker.failed(UNREACHABLE, AT_EXCHANGE);
  assert.equal(breaker.state, 'resting');
  assert.ok(breaker.restsForMs < 1000);
  pass(1000);
  assert.equal(breaker.state, 'closed');
});

test('an answered exchange ends the rest, and does not close what is open: connections may still fail', () => {
  const { breaker, pass, failAgain } = breakerOf();
  failAgain();
  breaker.exchanged();
  assert.equal(breaker.refusal(), undefined);
  failAgain();
  failAgain();
  pass(60_000);
  assert.equal(breaker.refusal(), undefined);
  breaker.exchanged();
  assert.equal(breaker.refusal()?.code, 'CIRCUIT_OPEN');
  breaker.wake();
  assert.equal(breaker.state, 'half_open');
});
