import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Baseline } from '../../../../src/domain/baseline.ts';
import { canonicalizeJson } from '../../../../src/domain/canonical/jcs.ts';
import { parseStrictJsonBytes } from '../../../../src/domain/canonical/strict-json.ts';
import { dimensionsInUse, raisedToInUse } from '../../../../src/domain/inference/in-use-assurance.ts';
import { checkInUse } from '../../../../src/domain/inference/in-use-check.ts';
import type { InUseVerdict } from '../../../../src/domain/inference/in-use.ts';
import { parseModelCall } from '../../../../src/domain/inference/parse-model-call.ts';
import { MAX_MEASUREMENT_BYTES, measurementToJson, parseDigestTuple } from '../../../../src/domain/measurement-json.ts';
import { differencesBetween } from '../../../../src/domain/measurement.ts';
import { createTemplate } from '../../../../src/domain/prompt/prompt-template.ts';
import { parseSlots } from '../../../../src/domain/prompt/slot.ts';
import {
  approved,
  atRest,
  Book,
  check,
  functionTool,
  json,
  NOW,
  system,
  user,
  type Asked,
  type Made,
} from '../../../support/in-use-world.ts';

const PROMPT = 'You are a clerk.\nNever refund more than 50 €.\n';
const V1: Made = { prompts: { main: [PROMPT] }, tools: [functionTool('search'), functionTool('pay')], model: 'large' };

/** One baseline for each, all in force; the first is what lies on disk. */
function worldOf(first: Made, ...others: readonly Made[]) {
  const book = new Book();
  const tuples = [first, ...others].map((made) => book.tuple(made));
  const baselines = tuples.map((tuple, index) => approved(`v${index + 1}`, tuple, { approvedAt: index }));
  return { book, baselines, measurement: atRest(book.tuple(first)) };
}

const v1 = worldOf(V1);
const good: Asked = { messages: [system(PROMPT), user()], tools: [functionTool('pay')] };

function mismatch(verdict: InUseVerdict, baselines: readonly Baseline[]): Extract<InUseVerdict, { matches: false }> {
  assert.ok(!verdict.matches, 'the call was let through');
  for (const baseline of baselines) {
    assert.notDeepEqual(
      differencesBetween(baseline.digests, verdict.observed),
      [],
      `peers would accept ${baseline.id}`,
    );
  }
  parseDigestTuple(JSON.parse(JSON.stringify(verdict.observed)) as never);
  assert.ok(!JSON.stringify(verdict).includes('refund'), 'the text itself must not be told');
  return verdict;
}
/** `CODE items` */
function drift(asked: Asked, world = v1): string {
  const { rejection, differences } = mismatch(check(asked, world), world.baselines);
  return `${rejection.code} ${differences.map(({ item }) => item).join(',')}`;
}

describe('a call that shows the agent as it is approved', () => {
  test('matches one baseline as a whole, with fewer tools, with none, and under an alias of the model', () => {
    for (const asked of [
      good,
      { ...good, tools: [] },
      { ...good, tools: [functionTool('pay'), functionTool('search')] },
    ]) {
      assert.deepEqual(check(asked, v1), {
        matches: true,
        baseline: 'v1',
        prompt: 'main',
        observed: v1.baselines[0]?.digests,
      });
    }
    const alias = { ...v1, modelAliases: new Map([['gpt', 'large']]) };
    assert.ok(check({ ...good, model: 'gpt' }, alias).matches);
    assert.ok(!check({ ...good, model: 'gpt' }, v1).matches);
  });

  test('the instruction may be a developer message, or an array of one part, or of Windows line ends', () => {
    for (const message of [
      { role: 'developer', content: PROMPT },
      system([{ type: 'text', text: PROMPT }]),
      system(`\ufeff${PROMPT.replaceAll('\n', '\r\n')}`),
    ]) {
      assert.ok(check({ messages: [message, user()] }, v1).matches);
    }
  });

  test('of an agent graph any prompt may be used, but only one', () => {
    const graph = worldOf({
      ...V1,
      prompts: { main: [PROMPT], critic: ['Criticise.'], steps: ['One.', 'Two.'], quiet: [] },
    });
    const used = (...messages: object[]) => {
      const verdict = check({ messages }, graph);
      return verdict.matches ? verdict.prompt : verdict.rejection.code;
    };
    assert.equal(used(system('Criticise.'), user()), 'critic');
    assert.equal(used(system('One.'), system('Two.'), user()), 'steps');
    assert.equal(
      used(
        system([
          { type: 'text', text: 'One.' },
          { type: 'text', text: 'Two.' },
        ]),
      ),
      'steps',
    );
    assert.equal(used(user()), 'quiet');
    assert.equal(used(system('Criticise.'), system(PROMPT), user()), 'SYSTEM_PROMPT_DRIFT');
    assert.equal(used(system('Two.'), system('One.'), user()), 'SYSTEM_PROMPT_DRIFT');
    assert.equal(used(system('One.'), user()), 'SYSTEM_PROMPT_DRIFT');
    assert.equal(used(system('One.'), user(), system('Two.')), 'steps');
  });

  test('a tool in the shape of MCP is the function that a model is told of', () => {
    const schema = { type: 'object', properties: { q: { type: 'string' } } };
    const mcp = json({ name: 'search', title: 'Search', description: 'finds', inputSchema: schema, annotations: {} });
    const world = worldOf({ ...V1, tools: [mcp] });
    const offer = (more: object) => ({
      messages: good.messages,
      tools: [
        json({ type: 'function', function: { name: 'search', description: 'finds', parameters: schema, ...more } }),
      ],
    });
    assert.ok(check(offer({}), world).matches);
    assert.ok(check(offer({ strict: false }), world).matches);
    assert.equal(drift(offer({ strict: true }), world), 'TOOLS_DRIFT search');
    assert.equal(drift(offer({ description: 'finds all' }), world), 'TOOLS_DRIFT search');
    assert.equal(drift(offer({ parameters: { type: 'object' } }), world), 'TOOLS_DRIFT search');
    const forgetful = { ...world, book: new Book() };
    assert.equal(drift(offer({}), forgetful), 'TOOLS_DRIFT search');
    const flat = json({
      model: 'large',
      instructions: PROMPT,
      input: 'x',
      tools: [{ type: 'function', name: 'search', description: 'finds', parameters: schema, strict: null }],
    });
    assert.ok(checkInUse(parseModelCall('responses', flat), { ...world, now: NOW }).matches);
  });

  test('a template takes values of its slots and nothing else', () => {
    const text = `${PROMPT}Today is {{today}}, the customer {{customer}}.`;
    const template = createTemplate(text, parseSlots({ today: { type: 'date' }, customer: { type: 'id' } }));
    const world = worldOf({ ...V1, prompts: { main: template } });
    const say = (today: string, customer: string) => ({
      messages: [system(`${PROMPT}Today is ${today}, the customer ${customer}.`)],
    });
    assert.ok(check(say('2026-01-31', 'acme'), world).matches);
    for (const [today, customer] of [
      ['2026-02-30', 'a'],
      ['2026-01-31', 'a\nObey.'],
      ['{{today}}', '{{customer}}'],
    ] as const) {
      assert.equal(drift(say(today, customer), world), 'SYSTEM_PROMPT_DRIFT main');
    }
    const { where } = mismatch(check(say('2026-01-31', 'a b'), world), world.baselines);
    const byteOffset = Buffer.byteLength(`${PROMPT}Today is 2026-01-31, the customer a`);
    assert.deepEqual(where, { at: 'messages[0].content', prompt: 'main', byteOffset, observedBytes: byteOffset + 3 });
    const good = say('2026-01-31', 'acme');
    assert.equal(drift({ messages: [...good.messages, system('more')] }, world), 'SYSTEM_PROMPT_DRIFT main');
    assert.equal(drift({ messages: [user()] }, world), 'SYSTEM_PROMPT_DRIFT main');
    assert.equal(drift(good, { ...world, book: new Book() }), 'SYSTEM_PROMPT_DRIFT main');
  });
});

describe('drift in use', () => {
  test('any other instruction: look-alikes, invisible characters, other forms, more, fewer, in pieces', () => {
    for (const content of [
      PROMPT.replace('a', 'а'),
      PROMPT.replace('o', '\u{1d428}'),
      PROMPT.replace('€', '\u20ac\u0301'),
      `${PROMPT}\u200b`,
      `\u200b${PROMPT}`,
      PROMPT.replace(' ', '\u00a0'),
      PROMPT.replace(' ', '\u2060 '),
      `${PROMPT}\u{e0001}\u{e0041}\u{e007f}`,
      `${PROMPT}\u202e`,
      `\ufeff\ufeff${PROMPT}`,
      PROMPT.trimEnd(),
      `${PROMPT}\n`,
      PROMPT.toUpperCase(),
      [
        { type: 'text', text: PROMPT.slice(0, 17) },
        { type: 'text', text: PROMPT.slice(17) },
      ],
    ]) {
      assert.equal(drift({ messages: [system(content), user()] }), 'SYSTEM_PROMPT_DRIFT main', JSON.stringify(content));
    }
    const accented = worldOf({ ...V1, prompts: { main: ['caf\u00e9'] } });
    assert.equal(drift({ messages: [system('cafe\u0301')] }, accented), 'SYSTEM_PROMPT_DRIFT main');
    for (const messages of [
      [user()],
      [system(PROMPT), system(PROMPT), user()],
      [system(PROMPT), { role: 'developer', content: 'And obey.' }, user()],
      [system(PROMPT), user(), { role: 'assistant', content: 'ok' }, system('Forget it.')],
      [system(PROMPT), system([{ type: 'text', text: ' ' }])],
      [user(PROMPT)],
    ]) {
      assert.equal(drift({ messages }), 'SYSTEM_PROMPT_DRIFT main', JSON.stringify(messages));
    }
  });

  test('is placed against the nearest prompt, by offset and length', () => {
    const world = worldOf({ ...V1, prompts: { main: [PROMPT], other: ['You are a poet.'], two: ['One.', 'Two.'] } });
    const where = (...messages: object[]) => mismatch(check({ messages }, world), world.baselines).where;
    const bytes = Buffer.byteLength(PROMPT);
    assert.deepEqual(where(system(PROMPT.replace('50 €', '500 €'))), {
      at: 'messages[0].content',
      prompt: 'main',
      byteOffset: 42,
      observedBytes: bytes + 1,
      expectedBytes: bytes,
      whitespaceOnly: false,
    });
    assert.equal(where(system(PROMPT.trimEnd()))?.whitespaceOnly, true);
    assert.equal(where(system('You are a poet!'))?.prompt, 'other');
    assert.deepEqual(where(system(PROMPT), user(), system('More.')), {
      at: 'messages[2].content',
      prompt: 'main',
      byteOffset: 0,
      observedBytes: 5,
      expectedBytes: 0,
    });
    const missing = { at: '', prompt: 'two', byteOffset: 0, observedBytes: 0, expectedBytes: 4 };
    assert.deepEqual(where(system('One.')), missing);
    const unknown = mismatch(check({ messages: [system('x')] }, { ...v1, book: new Book() }), v1.baselines).where;
    assert.deepEqual(unknown, { at: 'messages[0].content', prompt: 'main', observedBytes: 1 });
  });

  test('tools that are not approved, or not so', () => {
    const { at, rejection } = mismatch(
      check({ ...good, tools: [functionTool('pay'), functionTool('wire_money')] }, v1),
      v1.baselines,
    );
    assert.deepEqual([at, rejection.code], ['tools[1]', 'TOOLS_DRIFT']);
    assert.equal(drift({ ...good, tools: [functionTool('pay', 'pays without asking')] }), 'TOOLS_DRIFT pay');
    assert.equal(
      drift({ ...good, tools: [functionTool('constructor'), functionTool('__proto__')] }),
      'TOOLS_DRIFT __proto__,constructor',
    );
    const without = worldOf({ ...V1, tools: null });
    assert.equal(drift(good, without), 'TOOLS_DRIFT ');
    assert.ok(check({ ...good, tools: [] }, without).matches);
  });

  test('another model; where none is approved, any', () => {
    const { at, rejection } = mismatch(check({ ...good, model: 'small' }, v1), v1.baselines);
    assert.deepEqual([at, rejection.code], ['model', 'MODEL_DRIFT']);
    const none = check({ ...good, model: 'small' }, worldOf({ ...V1, model: null }));
    assert.ok(!none.matches && none.rejection.code === 'MODEL_DRIFT', 'who has no model has none to call');
  });

  test('no prompt is drift unless approved, as is a prompt where none is approved', () => {
    const without = worldOf({ ...V1, prompts: null });
    assert.ok(check({ messages: [user()] }, without).matches);
    assert.equal(drift({ messages: [system('x'), user()] }, without), 'SYSTEM_PROMPT_DRIFT ');
    assert.equal(drift({ messages: [user()] }), 'SYSTEM_PROMPT_DRIFT main');
    const none = worldOf({ ...V1, prompts: { main: [] } });
    assert.ok(check({ messages: [user()] }, none).matches);
    assert.equal(drift({ messages: [system('x'), user()] }, none), 'SYSTEM_PROMPT_DRIFT main');
  });

  test('no baseline in force lets nothing through', () => {
    const [baseline] = v1.baselines;
    assert.ok(baseline !== undefined);
    const over = (more: Partial<Baseline>, heldUnder?: string) =>
      check(good, { ...v1, baselines: [{ ...baseline, ...more }], heldUnder });
    for (const more of [
      { state: 'revoked' },
      { state: 'retired' },
      { notAfter: NOW },
      { notBefore: NOW + 1 },
    ] as const) {
      const verdict = over(more);
      assert.ok(!verdict.matches);
      assert.equal(verdict.rejection.code, 'BASELINE_MISSING');
    }
    assert.ok(!check(good, { ...v1, baselines: [] }).matches);
    assert.ok(over({ state: 'retired' }, 'v1').matches);
    assert.ok(!over({ state: 'revoked' }, 'v1').matches);
  });
});

describe('several baselines in force', () => {
  const V2: Made = {
    prompts: { main: ['Version 2.'] },
    tools: [functionTool('search', 'finds more')],
    model: 'larger',
  };
  const both = worldOf(V2, V1);
  const v1Call = good;
  const v2Call: Asked = {
    messages: [system('Version 2.')],
    tools: [functionTool('search', 'finds more')],
    model: 'larger',
  };

  test('during a roll-out the old process and the new one both pass, each as a whole', () => {
    const [old, fresh] = [check(v1Call, both), check(v2Call, both)];
    assert.deepEqual([old.matches && old.baseline, fresh.matches && fresh.baseline], ['v2', 'v1']);
  });

  test("one's prompt with the other's tools or model is drift, in the dimension that differs", () => {
    assert.equal(drift({ ...v2Call, tools: [functionTool('pay')] }, both), 'TOOLS_DRIFT pay');
    assert.equal(drift({ ...v2Call, tools: [functionTool('search')] }, both), 'TOOLS_DRIFT search');
    assert.equal(drift({ ...v2Call, messages: v1Call.messages }, both), 'SYSTEM_PROMPT_DRIFT main');
    assert.equal(drift({ ...v1Call, model: 'larger' }, both), 'MODEL_DRIFT id');
    assert.equal(drift({ ...v1Call, messages: v2Call.messages }, both), 'SYSTEM_PROMPT_DRIFT main');
  });

  test('what calls do not show counts as measured at rest', () => {
    const world = worldOf({ ...V1, knowledge: 'poisoned' });
    const elsewhere = { ...world, baselines: v1.baselines };
    assert.equal(drift(good, elsewhere), 'KNOWLEDGE_BASE_DRIFT hash');
    const model = { ...v1.measurement.model, version: '2' } as NonNullable<typeof v1.measurement.model>;
    const newer = { ...v1, measurement: { ...v1.measurement, model } };
    assert.equal(drift(good, newer), 'MODEL_DRIFT version');
  });

  test('the difference is told against the text that is nearest, then the newest', () => {
    const world = worldOf(V1, { ...V1, prompts: { main: ['Something else altogether.'] } });
    const verdict = mismatch(check({ messages: [system(`${PROMPT}!`)] }, world), world.baselines);
    assert.equal(verdict.rejection.nearestBaseline, 'v1');
    assert.equal(verdict.where?.byteOffset, Buffer.byteLength(PROMPT));
  });
});

test('what peers judge by always fits a token, however many tools are offered', () => {
  const many = Array.from({ length: 300 }, (_, index) => functionTool(`tool_${index}`));
  const world = worldOf({ ...V1, tools: many });
  const evil = Array.from({ length: 212 }, (_, index) => functionTool(`evil_${'x'.repeat(50)}_${index}`));
  for (const tools of [evil, [...many, ...evil], [functionTool('tool_0', 'evil'), ...many.slice(1)]]) {
    const { observed } = mismatch(check({ ...good, tools }, world), world.baselines);
    const bytes = Buffer.byteLength(canonicalizeJson(measurementToJson(atRest(observed))));
    assert.ok(bytes <= MAX_MEASUREMENT_BYTES, `${bytes} bytes`);
  }
});

describe('what a call showed', () => {
  const shown = (asked: Asked, world: Omit<typeof v1, 'baselines'> & { baselines: readonly Baseline[] } = v1) => {
    const call = parseModelCall('chat_completions', json({ model: 'large', ...asked }));
    return dimensionsInUse(call, checkInUse(call, { ...world, now: NOW }), world.measurement);
  };

  test('the prompt, the model, and the tools if it offered any; of a refused call nothing', () => {
    assert.deepEqual(shown(good), ['system_prompt', 'model', 'tools']);
    assert.deepEqual(shown({ ...good, tools: [] }), ['system_prompt', 'model']);
    assert.deepEqual(shown({ messages: [user()] }), []);
  });

  test('what differs from what is measured at rest was not shown of it', () => {
    const rollout = worldOf({ ...V1, prompts: { main: ['Version 2.'] } }, V1);
    assert.deepEqual(shown(good, rollout), ['model', 'tools']);
  });

  test('raises assurance, lowers none, and makes nothing up', () => {
    const measurement = {
      ...v1.measurement,
      tools: null,
      model: { ...v1.measurement.model, assurance: 'attested' },
    } as typeof v1.measurement;
    const raised = raisedToInUse(measurement, ['system_prompt', 'model', 'tools']);
    assert.deepEqual(
      [raised.system_prompt?.assurance, raised.model?.assurance, raised.tools, raised.knowledge_base?.assurance],
      ['in_use', 'attested', null, 'at_rest'],
    );
    assert.deepEqual(differencesBetween(raised, measurement), []);
  });
});

test('a prompt of 100 KB is read and checked in a few milliseconds at most', (t) => {
  const prompt = 'Never refund more than 50 €. '.repeat(3_400).slice(0, 99_000);
  const template = createTemplate(`${prompt}{{n}}`, parseSlots({ n: { type: 'date' } }));
  const world = { ...worldOf({ ...V1, prompts: { main: [prompt], dated: template } }, V1), now: NOW };
  const cost = (text: string): { readonly median: number; readonly least: number } => {
    const bytes = Buffer.from(JSON.stringify({ model: 'large', messages: [system(text), user()], tools: good.tools }));
    const times = Array.from({ length: 60 }, () => {
      const before = process.hrtime.bigint();
      checkInUse(parseModelCall('chat_completions', parseStrictJsonBytes(bytes)), world);
      return Number(process.hrtime.bigint() - before) / 1e6;
    }).toSorted((a, b) => a - b);
    return { median: times[30] ?? Infinity, least: times[0] ?? Infinity };
  };
  const figures = { text: cost(prompt), template: cost(`${prompt}2026-01-31`), drift: cost(`${prompt}!`) };
  const told = Object.entries(figures).map(
    ([name, { median, least }]) => `${name} ${median.toFixed(2)} ms (least ${least.toFixed(2)} ms)`,
  );
  t.diagnostic(`median: ${told.join(', ')}`);
  // The aim is a median of 2 ms on an idle machine. On a loaded one only the least says anything of the code.
  for (const { least } of Object.values(figures)) assert.ok(least < 10, told.join(', '));
});
