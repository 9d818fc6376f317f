import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPolicyFile } from '../../../../src/authority/policy/policy-objects.ts';
import { TRUST_DOMAIN } from '../../../support/authority-harness.ts';
import { agentYaml, baselineYaml, POLICY } from '../../../support/policy-files.ts';

const read = (text: string) => readPolicyFile('x.yaml', text, TRUST_DOMAIN);
const problemsOf = (text: string) =>
  read(text).problems.map(
    ({ severity, line, column, field, message }) => `${severity} ${line}:${column} ${field} ${message}`,
  );

for (const [name, text] of Object.entries(POLICY)) {
  test(`${name} is read without a problem`, () => {
    const { records, problems } = read(text);
    assert.deepEqual(problems, []);
    assert.equal(records.length, 1);
  });
}

test('several documents, comments and empty ones are one file', () => {
  const { records, problems } = read(`# mesh\n---\n${agentYaml('a')}---\n---\n${agentYaml('b')}`);
  assert.deepEqual(problems, []);
  assert.deepEqual(
    records.map(({ key }) => key),
    ['agent spiffe://acme.example/agent/a', 'agent spiffe://acme.example/agent/b'],
  );
});

test('only the opaque id of the sponsor is in the object; the person stays in the note', () => {
  const [record] = read(agentYaml('planner')).records;
  assert.deepEqual(record?.object.value, {
    id: 'spiffe://acme.example/agent/planner',
    lifecycle: 'active',
    sponsor: 'u-planner',
  });
  assert.deepEqual(record.note, { sponsor_name: 'Ada Lovelace', sponsor_email: 'ada@acme.example' });
});

test('all problems of a file are found at once, each with its place', () => {
  const text = `${agentYaml('planner', 'actve')}extra: 1\n---\nkind: Grant\nfrom: planner\nto: []\ncalls: [a]\n---\nkind: Nonsense\n`;
  const found = problemsOf(text).join('\n');
  for (const expected of [
    /^error 3:1 lifecycle is not known/m,
    /^error 8:1 extra is not known/m,
    /^error 12:1 to is an empty list/m,
    /^error 13:9 calls\[0\] has a path that does not begin with \//m,
    /^error 15:1 kind is not known/m,
  ]) {
    assert.match(found, expected);
  }
  assert.deepEqual(read(text).records, []);
});

const GRANT = 'kind: Grant\nfrom: a\nto: b\n';

const broken: readonly [name: string, text: string, expected: RegExp][] = [
  [
    'an omitted dimension',
    baselineYaml('b', 'a').replace('  tools: not_applicable\n', ''),
    /7:1 digests.tools is missing/,
  ],
  ['an empty dimension', baselineYaml('b', 'a').replace('tools: not_applicable', 'tools:'), /digests.tools is missing/],
  ['an unquoted version', baselineYaml('b', 'a').replace("'1'", '1.0'), /digests.model.version/],
  ['a cut digest', baselineYaml('b', 'a').replace('abab', 'ab'), /digests.system_prompt.prompts.*hash/],
  [
    'nothing approved',
    baselineYaml('b', 'a').replace(/ {2}(system_prompt|model):.*\n( {4}.*\n)*/g, '  $1: not_applicable\n'),
    /approves nothing/,
  ],
  ['a time without a zone', baselineYaml('b', 'a').replace('00Z', '00'), /approved_at is not a time/],
  ['nobody who approved', baselineYaml('b', 'a').replace('approved_by: Ada Lovelace\n', ''), /approved_by is missing/],
  ['an agent of another domain', agentYaml('spiffe://evil.example/agent/x'), /is of the trust domain evil.example/],
  ['a reserved identity', agentYaml('spiffe://acme.example/authority'), /is not the name of an agent/],
  ['a duplicate key', `${agentYaml('a')}id: b\n`, /not valid YAML/],
  ['the same object twice', `${agentYaml('a')}---\n${agentYaml('a')}`, /stands in this file twice/],
  ['two subjects of a revocation', 'kind: Revocation\nid: r\nagent: a\ninstance: i\nreason: x\n', /exactly one of/],
  ['a line break in a reason', 'kind: Revocation\nid: r\nagent: a\nreason: "a\\nb"\n', /reason is not/],
  ['observe without an end', `${agentYaml('a')}observe: { reason: roll-out }\n`, /observe.until is missing/],
  ['an empty list of calls', `${GRANT}calls: []\n`, /4:1 calls is an empty list, and so permits nothing/],
  ['calls without a list', `${GRANT}calls:\n`, /4:1 calls is not a list/],
  ['one call beside a list', `${GRANT}calls: POST /a\n`, /4:1 calls is not a list/],
  ['a call that is a mapping', `${GRANT}calls:\n  - path: /a\n`, /5:5 calls\[0\] is not a path/],
  ['a call that is empty', `${GRANT}calls:\n  - /a\n  -\n`, /calls\[1\] is missing/],
  ['a call of lower case', `${GRANT}calls:\n  - /a\n  - post /b\n`, /6:5 calls\[1\] has a method/],
  ['a call with dots', `${GRANT}calls: [/a/../b]\n`, /calls\[0\] has a segment/],
  ['a call with a line break', `${GRANT}calls: ["/a\\n"]\n`, /calls\[0\] is not a path/],
  ['a call twice', `${GRANT}calls: [/a, POST /a, /a]\n`, /calls\[2\] stands in the list twice/],
  [
    'too many calls',
    `${GRANT}calls: [${Array.from({ length: 101 }, (_, index) => `/${index}`).join(', ')}]\n`,
    /calls has more than 100/,
  ],
  ['methods, which stand with the path', `${GRANT}methods: [POST]\n`, /methods is not known here; .* calls/],
  ['a tab', '\tkind: Agent\n', /not valid YAML/],
  ['a list', '- kind: Agent\n', /kind is missing/],
  ['a member named like the prototype', `${agentYaml('a')}__proto__: { polluted: 1 }\n`, /__proto__ is not known/],
];
for (const [name, text, expected] of broken) {
  test(`has no effect and is named: ${name}`, () => {
    const { records } = read(text);
    assert.deepEqual(records, []);
    assert.match(problemsOf(text).join('\n'), expected);
  });
}

test('a grant gets its id from its two sides, or from its own and each callee', () => {
  const ids = (text: string) => read(text).records.map(({ object }) => object.value.id);
  const foreign = 'spiffe://other.example/agent/x';
  assert.deepEqual(ids('kind: Grant\nfrom: a\nto: team/b\n'), ['a>team/b']);
  assert.deepEqual(ids(`kind: Grant\nfrom: a\nto: [b, '${foreign}']\n`), ['a>b', `a>${foreign}`]);
  assert.deepEqual(ids('kind: Grant\nid: g\nfrom: a\nto: [b, c]\n'), ['g:b', 'g:c']);
  assert.deepEqual(ids('kind: Grant\nid: g\nfrom: a\nto: b\n'), ['g']);
});

test('an agent without a sponsor is a warning: it is admitted nowhere', () => {
  const { records, problems } = read('kind: Agent\nid: a\nlifecycle: active\n');
  assert.equal(records.length, 1);
  assert.equal(problems[0]?.severity, 'warning');
});

test('the calls of a grant hold for each of its callees, and a grant without them has none in its object', () => {
  const values = (text: string) => read(text).records.map(({ object }) => object.value);
  const [from, b, c] = ['a', 'b', 'c'].map((name) => `spiffe://acme.example/agent/${name}`);
  const calls = [{ methods: ['POST'], path: '/s.v1.S/*' }, { path: '/docs/**' }];
  assert.deepEqual(values('kind: Grant\nfrom: a\nto: [b, c]\ncalls:\n  - POST /s.v1.S/*\n  - /docs/**\n'), [
    { id: 'a>b', from, to: b, calls },
    { id: 'a>c', from, to: c, calls },
  ]);
  assert.deepEqual(values(GRANT), [{ id: 'a>b', from, to: b }]);
});
