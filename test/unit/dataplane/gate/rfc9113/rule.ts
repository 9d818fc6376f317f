import assert from 'node:assert/strict';
import type { ErrorName } from '../../../../../src/dataplane/http2/protocol.ts';
import { BareGate, other, type Side } from '../../../../support/bare-gate.ts';
import { frames, inWords, REQUEST, RESPONSE } from '../../../../support/http2-bytes.ts';

/** Who sends, and what: each piece is a chunk of its own. */
export type Step = readonly [from: Side, ...chunks: readonly Buffer[]];

/** What has to come of the last step. */
export type Verdict =
  /** GOAWAY with this code to the sender, and nothing of it to the other side. */
  | { readonly ends: ErrorName }
  /** RST_STREAM with this code, to both sides where both know the stream. The connection goes on. */
  | { readonly resets: number; readonly with: ErrorName; readonly unknownToServer?: true }
  /** Nothing to anybody. The connection goes on. */
  | 'ignored'
  /** These frames, in words, to the other side, and none back. The connection goes on. */
  | { readonly passes: readonly string[] }
  /** These frames to either side. The connection goes on. */
  | { readonly client: readonly string[]; readonly server: readonly string[] };

export interface Rule {
  /** Of RFC 9113. */
  readonly section: string;
  readonly what: string;
  /** On a connection whose both sides have exchanged SETTINGS. */
  readonly before?: readonly Step[];
  readonly step: Step;
  /** New calls are refused already. */
  readonly closing?: true;
  readonly verdict: Verdict;
}

/** Stream 1, which the client has opened and not ended. */
export const OPEN: Step = ['client', frames.headers(1, REQUEST)];
/** Stream 1, whose request is complete. */
export const ASKED: Step = ['client', frames.headers(1, REQUEST, { end: true })];
/** The head of its answer. */
export const ANSWERED: Step = ['server', frames.headers(1, RESPONSE)];
/** The whole answer. */
export const FINISHED: Step = ['server', frames.headers(1, RESPONSE, { end: true })];
export const CLIENT_RESET: Step = ['client', frames.reset(1)];
export const SERVER_RESET: Step = ['server', frames.reset(1)];

/** @throws AssertionError where the gate does not keep the rule. */
export function follow({ before = [], step, verdict, closing }: Rule): void {
  const bare = BareGate.begun();
  for (const [from, ...chunks] of before) bare.from(from, ...chunks);
  assert.equal(bare.gate.over, false, `over before the step, for ${bare.policy.violations[0]?.detail}`);
  bare.take('client');
  bare.take('server');
  const violations = bare.policy.violations.length;
  const [from, ...chunks] = step;
  bare.from(from, ...chunks);
  const said = { client: bare.said('client'), server: bare.said('server') };
  const { gate, policy } = bare;
  if (verdict !== 'ignored' && 'ends' in verdict) {
    assert.equal(gate.over, true, 'the connection goes on');
    assert.ok(
      said[from].at(-1)?.startsWith('GOAWAY ') && said[from].at(-1)?.endsWith(` ${verdict.ends}`),
      said[from].join(),
    );
    assertNothingPassed(said[other(from)]);
    assert.equal(policy.violations.length, violations + 1);
    assert.equal(gate.openCalls, 0);
    return;
  }
  assert.equal(gate.over, false, `over, for ${policy.violations.at(-1)?.detail}`);
  if (verdict === 'ignored') assert.deepEqual(said, { client: [], server: [] });
  else if ('resets' in verdict) {
    const reset = `RST_STREAM ${verdict.resets} ${verdict.with}`;
    const onlyThis = (lines: readonly string[]) => lines.filter((line) => !line.startsWith('WINDOW_UPDATE'));
    assert.deepEqual(onlyThis(said.client), [reset]);
    assert.deepEqual(onlyThis(said.server), verdict.unknownToServer === true ? [] : [reset]);
  } else if ('passes' in verdict) {
    assert.deepEqual(said[other(from)], verdict.passes);
    assert.deepEqual(said[from], []);
  } else assert.deepEqual(said, { client: verdict.client, server: verdict.server });
  if (closing !== true) assertGoesOn(bare);
}

/** Of what a side sent that broke the connection, the other one hears only that its streams and the connection end. */
function assertNothingPassed(lines: readonly string[]): void {
  for (const line of lines)
    assert.match(line, /^(RST_STREAM \d+ (CANCEL|NO_ERROR)|HEADERS \d+ END|GOAWAY \d+ NO_ERROR)$/);
  assert.match(lines.at(-1) ?? 'nothing', /^GOAWAY \d+ NO_ERROR$/);
}

/** A new call comes through in both directions. */
function assertGoesOn(bare: BareGate): void {
  const id = 1001;
  bare.from('client', frames.headers(id, REQUEST, { end: true }));
  assert.deepEqual(bare.take('server').map(inWords), [`HEADERS ${id} END`]);
  bare.from('server', frames.headers(id, RESPONSE), frames.data(id, 3, { end: true }));
  assert.deepEqual(bare.take('client').map(inWords), [`HEADERS ${id}`, `DATA ${id} 3 END`]);
}
