import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EchoAcrossEvents } from '../../../../src/sidecar/inference/echo-across-events.ts';
import { KeyEcho } from '../../../../src/sidecar/inference/key-echo.ts';

const KEY = 'sk-proj-4f9aZ';
const across = () => new EchoAcrossEvents(new KeyEcho(KEY));
const said = (content: string, index = 0) => ({ id: 'chat-1', choices: [{ index, delta: { content } }] });

/** What has reached the agent after each text, and whether the stream goes on. */
function run(texts: readonly string[], stream = across()): { passed: string; refused: boolean } {
  let passed = '';
  for (const text of texts) {
    const released = stream.pass(text, said(text), false);
    if (released === undefined) return { passed, refused: true };
    passed += released;
  }
  return { passed, refused: false };
}

test('a key in pieces is refused, and no more than its first letters have gone', () => {
  for (let size = 1; size < KEY.length; size += 1) {
    const pieces = KEY.match(new RegExp(`.{1,${size}}`, 'g')) ?? [];
    const { passed, refused } = run(['The key is ', ...pieces]);
    assert.ok(refused, `pieces of ${size}`);
    assert.ok(passed.length < 'The key is '.length + 4, passed);
  }
});

test('what only begins like the key goes on as soon as it goes on otherwise, in order', () => {
  const stream = across();
  const steps: [string, string][] = [
    ['Keys begin with ', 'Keys begin with '],
    ['sk-', 'sk-'],
    ['proj', ''],
    ['-', ''],
    [', and', 'proj-, and'],
    [' so on', ' so on'],
  ];
  for (const [text, passed] of steps) assert.equal(stream.pass(text, said(text), false), passed, text);
});

test('the end lets go what is still held, for nothing can follow', () => {
  const stream = across();
  assert.equal(stream.pass('sk-proj', said('sk-proj'), false), '');
  assert.equal(stream.pass('[DONE]', undefined, true), 'sk-proj[DONE]');
});

test('choices and calls of tools are followed each on its own, by their number and not by their place', () => {
  const stream = across();
  const call = (index: number, text: string) => ({
    choices: [{ index: 0, delta: { tool_calls: [{ index, function: { arguments: text } }] } }],
  });
  for (const message of [said('sk-proj', 0), said('well, ', 1), call(0, 'sk-p'), call(1, 'sk-')]) {
    assert.equal(stream.pass('x', message, false), '');
  }
  assert.equal(stream.pass('x', call(1, 'roj-4f9aY'), false), '', 'others are still near it');
  assert.equal(stream.pass('x', call(0, 'roj-4f9aZ'), false), undefined);
});

test('a stream that stays near the key for long goes on, and its memory is bounded', () => {
  const stream = across();
  assert.equal(stream.pass('a', said('sk-proj-4f', 0), false), '');
  const event = 'x'.repeat(1000);
  let passed = '';
  let count = 0;
  for (; passed === '' && count < 1000; count += 1) passed += stream.pass(event, said('other', 1), false) ?? '';
  assert.ok(count > 60 && count < 70, `${count} events were held`);
  assert.equal(passed.length, 1 + count * event.length, 'and none is lost');
  assert.equal(stream.pass(event, said('other', 1), false), event);
});

test('more beginnings of the key than an answer has texts are no answer', () => {
  const stream = across();
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_each, at) => [`t${at}`, 's']));
  assert.equal(stream.pass('x', many, false), undefined);
});
