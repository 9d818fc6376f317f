import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BodyVerdict, ResponseWatch } from '../../../../src/dataplane/http1/body-watch.ts';
import { WatchedAnswer } from '../../../../src/dataplane/http1/watched-answer.ts';
import { rejection } from '../../../../src/domain/rejection.ts';

const NO = rejection('TOOLS_DRIFT', 'another tool');

function events(
  limit = 100,
  judge: (event: string) => BodyVerdict = (event) => ({ ok: true, body: Buffer.from(event) }),
) {
  const seen: string[] = [];
  const watch: ResponseWatch = {
    kind: 'events',
    limit,
    event: (event) => {
      seen.push(event.toString());
      return judge(event.toString());
    },
  };
  return { seen, answer: new WatchedAnswer(watch) };
}

const bodyOf = (verdict: BodyVerdict): string => (verdict.ok ? verdict.body.toString() : verdict.rejection.code);

for (const [name, stream] of [
  ['LF', ['data: 1\n\n', 'event: a\ndata: 2\n\n', ': comment\n\n']],
  ['CRLF', ['data: 1\r\n\r\n', 'event: a\r\ndata: 2\r\n\r\n']],
] as const) {
  test(`events are judged one by one, whole, as soon as they end, however they are cut (${name})`, () => {
    const text = stream.join('');
    for (let cut = 0; cut <= text.length; cut += 1) {
      const { seen, answer } = events();
      const passed = [text.slice(0, cut), text.slice(cut)].map((piece) => bodyOf(answer.take(Buffer.from(piece))));
      assert.deepEqual(seen, stream, `cut at ${cut}`);
      assert.equal(passed.join(''), text);
    }
  });
}

test('what is no whole event does not pass; the rest is judged at the end', () => {
  const { seen, answer } = events();
  assert.equal(bodyOf(answer.take(Buffer.from('data: 1'))), '');
  assert.equal(bodyOf(answer.end()), 'data: 1');
  assert.deepEqual(seen, ['data: 1']);
});

test('an event may be replaced, and refused', () => {
  const { answer } = events(100, (event) =>
    event.includes('bad') ? { ok: false, rejection: NO } : { ok: true, body: Buffer.from('data: ours\n\n') },
  );
  assert.equal(bodyOf(answer.take(Buffer.from('data: theirs\n\n'))), 'data: ours\n\n');
  assert.equal(bodyOf(answer.take(Buffer.from('data: bad\n\n'))), 'TOOLS_DRIFT');
});

test('an event that is too long is refused before it ends', () => {
  const { seen, answer } = events(10);
  assert.equal(bodyOf(answer.take(Buffer.from('data: 01234567'))), 'CALL_ANSWER_UNREADABLE');
  assert.deepEqual(seen, []);
});

test('a whole body comes at the end, judged, or is too long', () => {
  const whole = () =>
    new WatchedAnswer({
      kind: 'whole',
      limit: 5,
      body: (body) => ({ ok: true, body: Buffer.from(`<${body.toString()}>`) }),
    });
  const answer = whole();
  assert.equal(bodyOf(answer.take(Buffer.from('ab'))) + bodyOf(answer.take(Buffer.from('cde'))), '');
  assert.equal(bodyOf(answer.end()), '<abcde>');
  assert.equal(bodyOf(whole().take(Buffer.from('abcdef'))), 'CALL_ANSWER_UNREADABLE');
});
