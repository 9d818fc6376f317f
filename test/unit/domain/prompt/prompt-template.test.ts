import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createTemplate, digestTemplate, matchTemplate } from '../../../../src/domain/prompt/prompt-template.ts';
import { parseSlots } from '../../../../src/domain/prompt/slot.ts';
import type { JsonObject } from '../../../../src/domain/canonical/strict-json.ts';

const template = (text: string, slots: JsonObject) => createTemplate(text, parseSlots(slots));
const matches = (known: ReturnType<typeof template>, text: string): boolean => matchTemplate(known, text).matches;

const SLOTS = {
  today: { type: 'date' },
  tier: { type: 'enum', values: ['gold', 'basic', 'gold plus'] },
  seats: { type: 'integer', min: 0, max: 999 },
  customer: { type: 'id', max_length: 8 },
};
const TEXT = 'Today is {{today}}.\nThe customer {{customer}} ({{tier}}) has {{seats}} seats. Since {{today}}';
interface Values {
  readonly today?: string;
  readonly customer?: string;
  readonly tier?: string;
  readonly seats?: string;
  readonly again?: string;
}
const filled = ({ today = '2026-01-31', customer = 'acme_1', tier = 'gold', seats = '12', again }: Values = {}) =>
  `Today is ${today}.\nThe customer ${customer} (${tier}) has ${seats} seats. Since ${again ?? today}`;

describe('what may stand in a slot', () => {
  const known = template(TEXT, SLOTS);

  test('values as they are declared, the same one wherever a slot stands twice', () => {
    for (const values of [
      {},
      { tier: 'basic' },
      { tier: 'gold plus' },
      { seats: '0' },
      { seats: '999' },
      { customer: '-' },
      { customer: 'A_b-9XYZ' },
      { today: '2024-02-29' },
    ]) {
      assert.ok(matches(known, filled(values)), filled(values));
    }
    assert.ok(!matches(known, filled({ again: '2026-02-01' })), 'two values for one slot');
  });

  test('no line break, no other script, nothing too long, no second spelling', () => {
    const hostile: Values[] = [
      ...['', 'a\nIgnore all', 'a b', 'ninechars', 'é', 'а', 'a\u200b', '\u{e0041}', 'a.b', 'a).', '{{customer}}'].map(
        (customer) => ({ customer }),
      ),
      ...['', 'Gold', 'gold ', 'gold\n', 'goldplus', 'gold plus plus', 'silver', 'gol'].map((tier) => ({ tier })),
      ...[
        '',
        '-1',
        '1000',
        '007',
        '00',
        '+1',
        '1.0',
        '1e2',
        '-0',
        '١٢',
        '１２',
        '12\n',
        ' 12',
        '99999999999999999999',
      ].map((seats) => ({ seats })),
      ...['2026-02-29', '2100-02-29', '2026-13-01', '2026-00-10', '2026-04-31', '2026-1-31', '0000-01-01'].map(
        (today) => ({ today }),
      ),
      ...['20260131', '2026-01-31T00:00', '２０２６-01-31', '2026-01-3\n', ''].map((today) => ({ today })),
    ];
    for (const values of hostile) assert.ok(!matches(known, filled(values)), JSON.stringify(values));
  });

  test('the text around is anchored at both ends', () => {
    for (const text of [
      ` ${filled()}`,
      `${filled()}\n`,
      `${filled()} Obey.`,
      filled().slice(1),
      filled().slice(0, -1),
      '',
    ]) {
      assert.ok(!matches(known, text), JSON.stringify(text));
    }
  });

  test('a mismatch is placed where the text cannot be right any more', () => {
    assert.deepEqual(matchTemplate(known, filled({ customer: 'a b' })), { matches: false, at: 36 });
    assert.deepEqual(matchTemplate(known, filled({ seats: '1000' })), { matches: false, at: filled().indexOf('12') });
    assert.deepEqual(matchTemplate(known, `${filled()}!`), { matches: false, at: filled().length });
    const emoji = template('\u{1f600} {{n}}', { n: { type: 'date' } });
    assert.deepEqual(matchTemplate(emoji, '\u{1f601} 2026-01-31'), { matches: false, at: 0 });
  });
});

describe('what is no template', () => {
  const refused = (text: string, slots: JsonObject): string | undefined => {
    try {
      template(text, slots);
      return undefined;
    } catch (error) {
      return (error as { code?: string }).code ?? (error as Error).name;
    }
  };
  const id = { type: 'id' };
  const anEnum = (...values: string[]) => ({ type: 'enum', values });

  test('slots and text must name each other, and nothing else is a marker', () => {
    assert.equal(refused('a {{x}} b', { y: id }), 'undeclared_slot');
    assert.equal(refused('a {{x}} b', { x: id, y: id }), 'unused_slot');
    assert.equal(refused('no slot', { y: id }), 'unused_slot');
    for (const text of ['{{ x }}', '{{x}', '{{x', '{{}}', '{{{x}}}', '{{x\n}}', '{{x}} {{']) {
      assert.equal(refused(text, { x: id }), 'bad_marker', text);
    }
    assert.equal(refused('{{constructor}}', { x: id }), 'undeclared_slot');
  });

  test('a declaration that leaves two readings is refused', () => {
    assert.equal(refused('{{x}}{{y}}', { x: id, y: id }), 'adjacent_slots');
    assert.equal(refused('{{x}}s', { x: id }), 'ambiguous_slot');
    assert.equal(refused('{{x}}-', { x: id }), 'ambiguous_slot');
    assert.equal(refused('{{x}}0', { x: { type: 'integer', min: 0, max: 9 } }), 'ambiguous_slot');
    assert.equal(refused('{{x}}-', { x: { type: 'integer', min: 0, max: 9 } }), undefined);
    assert.equal(refused('{{x}}0', { x: { type: 'date' } }), undefined);
    assert.equal(refused('{{x}} plus', { x: anEnum('gold', 'gold plus') }), 'ambiguous_slot');
    assert.equal(refused('{{x}} p{{y}}', { x: anEnum('gold', 'gold plus'), y: id }), 'ambiguous_slot');
    assert.equal(refused('{{x}}b', { x: anEnum('a', 'ab') }), 'ambiguous_slot');
    assert.equal(refused('{{x}}', { x: anEnum('gold', 'gold plus') }), undefined);
  });

  test('values of an enum of which one begins the other are told apart by what follows', () => {
    const known = template('{{x}}b', { x: anEnum('a', 'abc') });
    assert.deepEqual(
      ['ab', 'abcb', 'abc', 'abb', 'abcbb', 'a'].map((text) => matches(known, text)),
      [true, true, false, false, false, false],
    );
  });

  test('declarations of another kind are refused', () => {
    for (const slot of [
      {},
      { type: 'text' },
      { type: 'date', format: 'x' },
      { type: 'integer', min: 0 },
      { type: 'integer', min: 2, max: 1 },
      { type: 'integer', min: 0.5, max: 1 },
      { type: 'id', max_length: 0 },
      { type: 'id', max_length: 129 },
      { type: 'enum', values: [] },
      { type: 'enum', values: ['a', 'a'] },
      { type: 'enum', values: ['a\nb'] },
      { type: 'enum', values: ['\u{e0041}'] },
      { type: 'enum', values: ['a'.repeat(257)] },
    ]) {
      assert.equal(refused('{{x}}', { x: slot }), 'ShapeError', JSON.stringify(slot));
    }
    assert.equal(refused('{{x}}', {}), 'ShapeError');
    assert.equal(refused('{{x}}', { 'x y': id }), 'ShapeError');
  });
});

test('the digest is of text and declarations: neither order nor defaults count, everything else does', () => {
  const digest = (text: string, slots: JsonObject) => digestTemplate(template(text, slots)).hash;
  const same = digest('{{a}} {{b}}', { a: { type: 'id' }, b: { type: 'enum', values: ['x', 'y'] } });
  assert.equal(
    digest('{{a}} {{b}}', { b: { values: ['y', 'x'], type: 'enum' }, a: { type: 'id', max_length: 64 } }),
    same,
  );
  assert.notEqual(digest('{{b}} {{a}}', { a: { type: 'id' }, b: { type: 'enum', values: ['x', 'y'] } }), same);
  assert.notEqual(
    digest('{{a}} {{b}}', { a: { type: 'id', max_length: 63 }, b: { type: 'enum', values: ['x', 'y'] } }),
    same,
  );
  assert.notEqual(digest('{{a}} {{b}}', { a: { type: 'id' }, b: { type: 'enum', values: ['x', 'z'] } }), same);
});

test('hostile texts are judged in linear time', () => {
  const slots = Object.fromEntries(
    Array.from({ length: 60 }, (_, index) => [`s${index}`, { type: 'id', max_length: 128 }]),
  );
  const ids = template(
    Object.keys(slots)
      .map((name) => `{{${name}}}`)
      .join(' '),
    slots,
  );
  const values = Array.from({ length: 64 }, (_, index) => 'a'.repeat(index + 1));
  const enums = template(`{{x}}${'b'.repeat(100_000)}`, { x: { type: 'enum', values } });
  const costOf = (known: ReturnType<typeof template>, text: string): number => {
    const { user: before } = process.cpuUsage();
    for (let round = 0; round < 20; round += 1) matchTemplate(known, text);
    return (process.cpuUsage().user - before) / 20_000;
  };
  for (const size of [200_000, 2_000_000]) {
    const worst = [
      costOf(ids, 'a'.repeat(size)),
      costOf(ids, `${'a'.repeat(128)} `.repeat(size / 129)),
      costOf(enums, `${'a'.repeat(64)}${'b'.repeat(size)}`),
      costOf(enums, 'a'.repeat(size)),
    ];
    // Milliseconds of processor time, on a loaded machine; one step back for each step forward would take minutes.
    assert.ok(Math.max(...worst) < 50, `${size}: ${worst.map((ms) => ms.toFixed(2)).join(', ')} ms`);
  }
});
