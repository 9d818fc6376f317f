import assert from 'node:assert/strict';
import { test } from 'node:test';
import pc from 'picocolors';
import { Storyteller } from '../../../../src/cli/dev/storyteller.ts';
import type { Tone } from '../../../../src/cli/dev/narrator.ts';

function storyteller(json = false) {
  let now = 0;
  const lines: string[] = [];
  const clock = { now: () => now, monotonic: () => now };
  const teller = new Storyteller({ print: (line) => lines.push(line), colors: pc.createColors(false), clock, json });
  return {
    lines,
    pass: (ms: number) => (now += ms),
    say: (text: string, tone: Tone = 'agent') => teller.say({ tone, text, key: text }),
    sayRoutine: (text: string) => teller.say({ tone: 'good', text, key: text, routine: true }),
  };
}

test('what is said again soon is held back, and counted when it is said next', () => {
  const { lines, say, pass } = storyteller();
  for (let turn = 0; turn < 4; turn += 1) say('Ask OK');
  assert.equal(lines.length, 1);
  pass(61_000);
  say('Ask OK');
  assert.match(lines[1] ?? '', /Ask OK \(3 more like it since\)$/);
});

test('after a cut everything is news again', () => {
  const { lines, say } = storyteller();
  say('Ask OK');
  say('DRIFT', 'bad');
  say('Ask OK');
  assert.equal(lines.length, 3);
});

test('one more that joins makes nothing else news', () => {
  const { lines, say, sayRoutine } = storyteller();
  say('Ask OK');
  sayRoutine('planner and reviewer accepted each other');
  say('Ask OK');
  assert.equal(lines.length, 2);
});

test('without colours a line is plain text with its time and mark', () => {
  const { lines, say } = storyteller();
  say('planner is in order again', 'good');
  assert.match(lines[0] ?? '', /^\d\d:\d\d:\d\d ✓ planner is in order again$/);
});

test('as JSON each sentence is one object', () => {
  const { lines, say } = storyteller(true);
  say('DRIFT', 'bad');
  assert.deepEqual(JSON.parse(lines[0] ?? ''), { at: '1970-01-01T00:00:00.000Z', tone: 'bad', text: 'DRIFT' });
});
