import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Narrator, type Sentence } from '../../../../src/cli/dev/narrator.ts';

const RESEARCHER = 'spiffe://dev.local/agent/researcher';

function tell(narrator: Narrator, source: string, fields: Record<string, unknown>): Sentence | undefined {
  const record = { level: 'info', ...fields, event: String(fields['event']) };
  return narrator.tell({ source, at: 0, text: JSON.stringify(record), json: record, record });
}

const cutForOwnDrift = {
  event: 'session_terminated',
  self: true,
  subject: RESEARCHER,
  code: 'SYSTEM_PROMPT_DRIFT',
  connections: 2,
  enforcementMs: 3.14,
};
const ownDrift = {
  event: 'peer_refused',
  level: 'warn',
  subject: 'self',
  self: true,
  code: 'SYSTEM_PROMPT_DRIFT',
  differences: [{ dimension: 'system_prompt', item: 'main', expected: 'a', observed: 'b' }],
};

test('own drift and what was cut for it are one sentence', () => {
  const narrator = new Narrator();
  assert.equal(tell(narrator, 'sidecar planner', cutForOwnDrift), undefined);
  const sentence = tell(narrator, 'sidecar planner', ownDrift);
  assert.equal(sentence?.text, 'DRIFT in the system prompt of planner → 1 session and 2 connections cut in 3.1 ms');
  assert.equal(sentence?.tone, 'bad');
  assert.equal(sentence?.drifted, 'planner');
});

test('drift without a session says so, and names every dimension', () => {
  const differences = [
    { dimension: 'tools', item: 'search' },
    { dimension: 'system_prompt', item: 'main' },
  ];
  const sentence = tell(new Narrator(), 'sidecar planner', { ...ownDrift, differences });
  assert.equal(sentence?.text, 'DRIFT in the system prompt and the tools of planner → nobody talks to it');
});

test('coming back into order is told only after having been out of it', () => {
  const narrator = new Narrator();
  const inOrder = { event: 'standing_in_order', baseline: 'planner-1' };
  assert.equal(tell(narrator, 'sidecar planner', inOrder), undefined);
  tell(narrator, 'sidecar planner', ownDrift);
  assert.equal(
    tell(narrator, 'sidecar planner', inOrder)?.text,
    'planner is in order again: it equals baseline planner-1',
  );
});

test('an accepted exchange is told once, by the calling side', () => {
  const admitted = { event: 'session_admitted', subject: RESEARCHER };
  const narrator = new Narrator();
  const told = tell(narrator, 'sidecar planner', { ...admitted, direction: 'outbound' });
  assert.equal(told?.text, 'planner and researcher accepted each other');
  assert.equal(told.routine, true);
  assert.equal(tell(narrator, 'sidecar researcher', { ...admitted, direction: 'inbound' }), undefined);
});

test('a refused caller is told with the meaning of the code', () => {
  const refused = { event: 'peer_denied', direction: 'inbound', subject: RESEARCHER, code: 'GRANT_MISSING' };
  const sentence = tell(new Narrator(), 'sidecar planner', refused);
  assert.match(sentence?.text ?? '', /^planner refused researcher: GRANT_MISSING\. No grant lets/);
});

test('a call that was cut or refused is told with who called whom, one sentence a reason', () => {
  const call = { method: 'GET', path: '/mcp\u001b[2J', label: 'other', wasUnderWay: true };
  const cut = {
    event: 'call_cut',
    level: 'warn',
    subject: RESEARCHER,
    direction: 'outbound',
    code: 'PEER_ENDED',
    call,
  };
  const sentence = tell(new Narrator(), 'sidecar planner', cut);
  assert.equal(sentence?.text, 'GET /mcp?[2J from planner to researcher was cut while it ran: PEER_ENDED');
  assert.equal(sentence.tone, 'quiet');
  const refused = { ...cut, event: 'call_refused', direction: 'inbound', code: 'CALL_NOT_GRANTED' };
  const other = { ...refused, call: { ...call, path: '/other' } };
  const [one, two] = [refused, other].map((record) => tell(new Narrator(), 'sidecar planner', record));
  assert.match(one?.text ?? '', /from researcher to planner was refused: CALL_NOT_GRANTED$/);
  assert.equal(one?.key, two?.key);
});

test('an approved baseline is told, other policy is summed up', () => {
  const narrator = new Narrator();
  const approved = { event: 'policy_applied', changes: ['put baseline planner-2', 'put agent planner'] };
  assert.equal(tell(narrator, 'authority', approved)?.text, 'approved and in force: planner-2');
  const withdrawn = { event: 'policy_applied', changes: ['delete grant planner>researcher'] };
  assert.equal(tell(narrator, 'authority', withdrawn)?.text, 'policy changed: without grant planner>researcher');
});

test('a broken policy file is told with its place', () => {
  const problem = {
    event: 'policy_problem',
    level: 'error',
    file: 'baselines/a.yaml',
    line: 3,
    column: 5,
    field: 'id',
    message: 'is empty',
  };
  assert.equal(
    tell(new Narrator(), 'authority', problem)?.text,
    'mesh/baselines/a.yaml:3:5: id is empty; what it said before stays in force',
  );
});

test("an agent's own line is passed on, and numbers do not make it another", () => {
  const narrator = new Narrator();
  const first = narrator.tell({ source: 'planner', at: 0, text: 'Ask OK in 3 ms: yes' });
  const second = narrator.tell({ source: 'planner', at: 0, text: 'Ask OK in 14 ms: no' });
  assert.equal(first?.text, 'planner │ Ask OK in 3 ms: yes');
  assert.equal(first?.key, second?.key);
});

test('an agent cannot speak as a sidecar', () => {
  const record = { event: 'session_admitted', direction: 'outbound', subject: RESEARCHER };
  const line = { source: 'planner', at: 0, text: JSON.stringify(record), json: record, record };
  assert.equal(new Narrator().tell(line)?.tone, 'agent');
});

test('what nobody foresaw is told when it is a warning or an error, and only then', () => {
  const narrator = new Narrator();
  const event = { event: 'disk_on_fire', detail: 'sda' };
  assert.equal(tell(narrator, 'authority', event), undefined);
  assert.equal(tell(narrator, 'authority', { ...event, level: 'error' })?.text, 'the authority: disk_on_fire sda');
});

test('drift in use is told as such, once: not again for the call that showed it', () => {
  const narrator = new Narrator();
  const inUse = { correlationId: 'id-1' };
  const call = { ...ownDrift, remoteAddress: '127.0.0.1:4000', correlationId: 'id-1', inUse };
  assert.equal(tell(narrator, 'sidecar planner', call), undefined);
  tell(narrator, 'sidecar planner', cutForOwnDrift);
  assert.equal(
    tell(narrator, 'sidecar planner', { ...ownDrift, remoteAddress: '', correlationId: 'id-1', inUse })?.text,
    'DRIFT in the system prompt of planner, as it is in use → 1 session and 2 connections cut in 3.1 ms',
  );
});

test('a refused call to the model is told with its reason; that it comes again is the same story', () => {
  const narrator = new Narrator();
  const refused = {
    event: 'model_call_refused',
    level: 'warn',
    code: 'TOOLS_DRIFT',
    detail: 'in use: tools[3] is new',
  };
  const first = tell(narrator, 'sidecar planner', { ...refused, correlationId: 'id-1' });
  const second = tell(narrator, 'sidecar planner', { ...refused, correlationId: 'id-2', detail: 'in use: tools[4]' });
  assert.equal(first?.text, 'planner called its model and was refused, TOOLS_DRIFT: in use: tools[3] is new');
  assert.equal(first.tone, 'note');
  assert.equal(second?.key, first.key);
});

test('evidence is told: accepted as what it is, refused loudly, and accepted again', () => {
  const narrator = new Narrator();
  const attested = { event: 'inference_service_attested', service: 'spiffe://dev.local/inference/default' };
  const refused = {
    event: 'inference_service_refused',
    level: 'warn',
    code: 'EVIDENCE_MEASUREMENT_UNKNOWN',
    detail: 'measured sha256:aa',
  };
  const accepted = tell(narrator, 'sidecar planner', attested);
  assert.equal(accepted?.tone, 'quiet');
  assert.match(accepted.text, /SIMULATED/);
  const problem = tell(narrator, 'sidecar planner', refused);
  assert.equal(problem?.tone, 'bad');
  assert.match(
    problem.text,
    /^planner does not trust the inference service, EVIDENCE_MEASUREMENT_UNKNOWN: .* no prompt/,
  );
  // That of another agent is another story.
  assert.equal(tell(narrator, 'sidecar researcher', attested)?.tone, 'quiet');
  assert.equal(tell(narrator, 'sidecar planner', attested)?.text, 'planner trusts the inference service again');
});

test('the inference service says that it is simulated, and what is wrong with it', () => {
  const narrator = new Narrator();
  const ready = tell(narrator, 'inference service', { event: 'inference_ready', listen: '127.0.0.1:17200' });
  assert.match(ready?.text ?? '', /at 127\.0\.0\.1:17200: SIMULATED/);
  assert.equal(tell(narrator, 'inference service', { event: 'joined' }), undefined);
  const refused = { event: 'connection_refused', level: 'warn', detail: 'no client certificate' };
  assert.equal(
    tell(narrator, 'inference service', refused)?.text,
    'the inference service: connection_refused no client certificate',
  );
});
