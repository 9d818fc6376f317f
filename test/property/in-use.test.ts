import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { canonicalizeString } from '../../src/domain/canonical/text.ts';
import { parseStrictJson, type JsonObject, type JsonValue } from '../../src/domain/canonical/strict-json.ts';
import { ModelCallError } from '../../src/domain/inference/model-call-error.ts';
import { MODEL_ENDPOINTS } from '../../src/domain/inference/model-call.ts';
import { parseModelCall } from '../../src/domain/inference/parse-model-call.ts';
import { differencesBetween } from '../../src/domain/measurement.ts';
import { isTemplate, type KnownPrompt } from '../../src/domain/prompt/known-prompt.ts';
import { createTemplate, matchTemplate, TemplateError } from '../../src/domain/prompt/prompt-template.ts';
import { parseSlots, type Slot, type Slots } from '../../src/domain/prompt/slot.ts';
import {
  approved,
  atRest,
  Book,
  check,
  functionTool,
  nameOf,
  system,
  user,
  type Made,
} from '../support/in-use-world.ts';

const PROMPT = 'You are a clerk.\nNever refund more than 50 €.\n';

describe('one approved prompt', () => {
  const book = new Book();
  const tuple = book.tuple({ prompts: { main: [PROMPT] }, tools: null, model: 'large' });
  const world = { book, baselines: [approved('v1', tuple)], measurement: atRest(tuple) };
  const passes = (content: string): boolean => check({ messages: [system(content), user()] }, world).matches;

  test('any one byte replaced, inserted or removed is refused, but for the documented equivalences', () => {
    const bytes = Buffer.from(PROMPT);
    const byte = fc.oneof(fc.nat(255), fc.constantFrom(0x0a, 0x0d, 0x20));
    fc.assert(
      fc.property(fc.nat(bytes.length), byte, fc.constantFrom(0, 1), fc.boolean(), (at, value, removed, inserts) => {
        const middle = inserts ? [value] : [];
        const changed = Buffer.concat([bytes.subarray(0, at), Buffer.from(middle), bytes.subarray(at + removed)]);
        const text = changed.toString();
        // What is no UTF-8 never comes here: the strict parser has refused it.
        fc.pre(Buffer.from(text).equals(changed) && !text.includes('\0'));
        assert.equal(passes(text), canonicalizeString(text) === PROMPT, JSON.stringify(text));
      }),
      { numRuns: 2000 },
    );
  });

  test('any invisible or look-alike character anywhere is refused', () => {
    const hidden = fc.oneof(
      fc.constantFrom(
        '\u200b',
        '\u200d',
        '\u2060',
        '\ufeff',
        '\u00ad',
        '\u202e',
        '\u180e',
        '\u3164',
        '\u0301',
        '\u00a0',
      ),
      fc.integer({ min: 0xe0000, max: 0xe007f }).map((code) => String.fromCodePoint(code)),
    );
    fc.assert(
      fc.property(fc.nat(PROMPT.length), hidden, (at, character) => {
        const text = PROMPT.slice(0, at) + character + PROMPT.slice(at);
        assert.equal(passes(text), at === 0 && character === '\ufeff', JSON.stringify(text));
      }),
    );
  });
});

describe('whole tuples', () => {
  const prompt = fc.constantFrom<KnownPrompt>(['One.'], ['Two.'], ['One.', 'Two.'], []);
  const aTool = fc.constantFrom(functionTool('a'), functionTool('a', 'other'), functionTool('b'), functionTool('c'));
  const tools = fc.uniqueArray(aTool, {
    maxLength: 3,
    selector: nameOf,
  });
  const model = fc.constantFrom('large', 'small');
  const made: fc.Arbitrary<Made> = fc.record({
    prompts: fc.option(fc.dictionary(fc.constantFrom('main', 'critic'), prompt, { minKeys: 1 })),
    tools: fc.option(tools.filter((list) => list.length > 0)),
    model: fc.option(model, { freq: 5 }),
    knowledge: fc.constantFrom('kb', 'kb2'),
  });

  test('a call passes exactly when one baseline has all of it; of a refused one peers judge the same', () => {
    let [passed, refused] = [0, 0];
    fc.assert(
      fc.property(
        fc.array(made, { minLength: 1, maxLength: 3 }),
        made,
        prompt,
        fc.record({ tools, model }),
        (baselines, rest, instructions, offered) => {
          const book = new Book();
          const inForce = baselines.map((each, index) =>
            approved(`v${index}`, book.tuple(each), { approvedAt: index }),
          );
          const measured = book.tuple(rest);
          const texts = isTemplate(instructions) ? [] : instructions;
          const messages = [...texts.map(system), user()];
          const verdict = check({ messages, ...offered }, { book, baselines: inForce, measurement: atRest(measured) });
          const whole = baselines.some(
            (each) =>
              each.knowledge === rest.knowledge &&
              each.model === offered.model &&
              offered.tools.every((tool) => each.tools?.includes(tool) === true) &&
              (each.prompts === null
                ? texts.length === 0
                : Object.values(each.prompts).some((known) => JSON.stringify(known) === JSON.stringify(texts))),
          );
          assert.equal(verdict.matches, whole);
          if (verdict.matches) {
            passed += 1;
            assert.ok(inForce.some(({ id, digests }) => id === verdict.baseline && digests === verdict.observed));
            return;
          }
          refused += 1;
          assert.notDeepEqual(verdict.differences, []);
          for (const { digests } of inForce) assert.notDeepEqual(differencesBetween(digests, verdict.observed), []);
        },
      ),
      { numRuns: 3000 },
    );
    assert.ok(passed > 50 && refused > 50, `${passed} passed, ${refused} refused`);
  });
});

describe('templates', () => {
  const literal = fc.string({ unit: fc.constantFrom('a', 'b', '1', '-', ' ', '\n'), maxLength: 3 });
  const slot = fc.oneof<fc.Arbitrary<JsonObject>[]>(
    fc.record({ type: fc.constant('id'), max_length: fc.integer({ min: 1, max: 4 }) }),
    fc.constant({ type: 'integer', min: -5, max: 120 }),
    fc.constant({ type: 'date' }),
    fc
      .uniqueArray(fc.string({ unit: fc.constantFrom('a', 'b', '1', ' '), minLength: 1, maxLength: 3 }), {
        minLength: 1,
        maxLength: 4,
      })
      .map((values) => ({ type: 'enum', values })),
  );

  /** The slots written as a backtracking regular expression: another way to say the same. */
  function expression(text: string, slots: Slots): RegExp {
    const seen = new Set<string>();
    const pattern = text.replace(/\{\{(\w+)\}\}|[^]/g, (part, name: string | undefined) => {
      if (name === undefined)
        return part.replace(/[-\n ]/, (unit) => `\\x${unit.charCodeAt(0).toString(16).padStart(2, '0')}`);
      if (seen.has(name)) return `\\k<${name}>`;
      seen.add(name);
      return `(?<${name}>${valuesOf(slots.get(name))})`;
    });
    return new RegExp(`^${pattern}$`);
  }

  function valuesOf(declared: Slot | undefined): string {
    switch (declared?.type) {
      case 'enum':
        return declared.values.join('|');
      case 'id':
        return `[A-Za-z0-9_-]{1,${declared.maxLength}}`;
      case 'integer':
        return '(?:-[1-5]|[0-9]|[1-9][0-9]|1[01][0-9]|120)';
      case 'date':
        return '2026-01-[0-2][1-9]';
      case undefined:
        throw new Error('no such slot');
    }
  }

  test('match what the same regular expression matches, where there is one reading', () => {
    const value = fc.constantFrom(
      'a',
      'ab',
      '1',
      '-1',
      '120',
      '121',
      '2026-01-21',
      'a b',
      '',
      '007',
      'bbbbb',
      'x\ny',
      'b1',
    );
    const place = fc.constantFrom('x', 'y', 'z');
    let matched = 0;
    fc.assert(
      fc.property(
        literal,
        fc.array(fc.tuple(place, literal), { minLength: 1, maxLength: 3 }),
        fc.record({ x: slot, y: slot, z: slot }),
        fc.record({ x: value, y: value, z: value }),
        (head, places, declared, values) => {
          const text = head + places.map(([name, tail]) => `{{${name}}}${tail}`).join('');
          const used = Object.fromEntries(Object.entries(declared).filter(([name]) => text.includes(`{{${name}}}`)));
          const slots = parseSlots(used);
          const filled = head + places.map(([name, tail]) => values[name] + tail).join('');
          let template;
          try {
            template = createTemplate(text, slots);
          } catch (error) {
            assert.ok(error instanceof TemplateError);
            return;
          }
          const { matches } = matchTemplate(template, filled);
          assert.equal(matches, expression(text, slots).test(filled), JSON.stringify([text, used, filled]));
          if (matches) matched += 1;
        },
      ),
      { numRuns: 20_000 },
    );
    assert.ok(matched > 200, `only ${matched} matched`);
  });

  test('any text is judged without an exception, and placed within it', () => {
    const slots = parseSlots({ a: { type: 'id' }, b: { type: 'enum', values: ['x', 'x y'] } });
    const template = createTemplate('{{a}}: {{b}}.', slots);
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => {
        const match = matchTemplate(template, text);
        assert.ok(match.matches || (match.at >= 0 && match.at <= text.length));
      }),
    );
  });
});

test('any JSON is read or refused with a ModelCallError, and what is read is read again alike', () => {
  const names = fc.constantFrom(
    'model',
    'messages',
    'role',
    'content',
    'type',
    'text',
    'tools',
    'input',
    'function',
    'name',
    '__proto__',
    'x',
  );
  const { json } = fc.letrec<{ json: JsonValue }>((tie) => ({
    json: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom<JsonValue[]>(null, true, 1, '', 'm', 'system', 'user', 'function', 'text', 'input_text'),
      fc.array(tie('json'), { maxLength: 3 }),
      fc.uniqueArray(fc.tuple(names, tie('json')), { maxLength: 5, selector: ([name]) => name }).map((entries) => {
        const object = Object.create(null) as Record<string, JsonValue>;
        for (const [name, value] of entries) object[name] = value;
        return object;
      }),
    ),
  }));
  const message = fc.record({
    role: fc.constantFrom('system', 'developer', 'user', 'assistant', 'tool'),
    content: json,
  });
  const body = fc.oneof(json, fc.record({ model: fc.constant('m'), messages: fc.array(message, { maxLength: 3 }) }));
  fc.assert(
    fc.property(body, fc.constantFrom(...MODEL_ENDPOINTS), (value, endpoint) => {
      try {
        const call = parseModelCall(endpoint, value);
        const again = parseModelCall(endpoint, parseStrictJson(JSON.stringify(call.body)));
        assert.deepEqual(again.body, call.body);
      } catch (error) {
        if (!(error instanceof ModelCallError)) throw error;
      }
    }),
    { numRuns: 3000 },
  );
});
