import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REJECTION_CODES, REJECTIONS, rejection } from '../../../../src/domain/rejection.ts';
import { grpcRefusal, httpRefusal, refusalStatus } from '../../../../src/dataplane/gate/refusal.ts';
import { problemAnswer } from '../../../../src/dataplane/http1/problem-answer.ts';
import { HpackDecoder } from '../../../../src/dataplane/hpack/decoder.ts';

function lines(block: Buffer): Record<string, string> {
  const decoded = new HpackDecoder({ maxListBytes: 65_536 }).decode(block);
  return Object.fromEntries(decoded.fields.map(({ name, value }) => [name, value]));
}

const DETAIL = 'a detail with a digest: sha256:00ff';

for (const code of REJECTION_CODES) {
  test(`${code}: our own agent is told the code, a peer the coarse reason, and nobody the detail`, () => {
    const refused = { rejection: rejection(code, DETAIL), correlationId: 'id-7' };
    for (const audience of ['own agent', 'peer'] as const) {
      const reason = audience === 'peer' ? REJECTIONS[code].wire : code;
      const grpc = lines(grpcRefusal({ ...refused, audience }, false));
      assert.equal(grpc[':status'], '200');
      assert.equal(grpc['grpc-status'], String(refusalStatus(refused.rejection).grpc));
      const details = Buffer.from(grpc['grpc-status-details-bin'] ?? '', 'base64').toString('latin1');
      assert.ok(details.includes(reason) && details.includes('id-7'), details);
      const http = lines(httpRefusal({ ...refused, audience }));
      assert.equal(http[':status'], String(REJECTIONS[code].http));
      assert.equal(http['content-length'], '0');
      for (const told of [grpc, http]) {
        assert.equal(told['x-ait-refused'], reason);
        assert.equal(told['x-ait-correlation-id'], 'id-7');
        const everything = Object.values(told).join() + details;
        assert.ok(!everything.includes('sha256:00ff'));
        if (audience === 'peer' && code !== reason) assert.ok(!everything.includes(code), everything);
      }
    }
  });
}

test('names that would have done are for our own agent: a peer does not learn whom it knows', () => {
  const refused = {
    rejection: rejection('AUTHORITY_MISDIRECTED', DETAIL, { known: ['a.mesh', 'b.mesh'] }),
    correlationId: 'id-7',
  };
  for (const [audience, isTold] of [
    ['own agent', true],
    ['peer', false],
  ] as const) {
    const grpc = lines(grpcRefusal({ ...refused, audience }, false));
    const details = Buffer.from(grpc['grpc-status-details-bin'] ?? '', 'base64').toString('latin1');
    assert.equal(grpc['grpc-message']?.endsWith('; names known here: a.mesh, b.mesh') === true, isTold);
    assert.equal(details.includes('known_names') && details.includes('a.mesh,b.mesh'), isTold);
    assert.equal(
      lines(httpRefusal({ ...refused, audience }))['x-ait-known-names'],
      isTold ? 'a.mesh, b.mesh' : undefined,
    );
    const { body, fields } = problemAnswer({ ...refused, audience });
    assert.deepEqual(
      (JSON.parse(body) as { known_names?: unknown }).known_names,
      isTold ? ['a.mesh', 'b.mesh'] : undefined,
    );
    assert.equal(fields.includes('x-ait-known-names'), isTold);
    assert.equal((body + JSON.stringify(grpc) + details).includes('b.mesh'), isTold);
  }
  const nobody = { ...refused, rejection: rejection('AUTHORITY_MISDIRECTED', DETAIL, { known: [] }) };
  assert.match(lines(grpcRefusal({ ...nobody, audience: 'own agent' }, false))['grpc-message'] ?? '', /here: none$/);
});

test('behind the head of an answer a refusal is trailers, without what belongs into a head', () => {
  const told = lines(
    grpcRefusal({ rejection: rejection('GRANT_MISSING', ''), correlationId: 'i', audience: 'peer' }, true),
  );
  assert.deepEqual(Object.keys(told), [
    'grpc-status',
    'grpc-message',
    'grpc-status-details-bin',
    'x-ait-refused',
    'x-ait-correlation-id',
  ]);
  assert.equal(told['grpc-status'], '7');
});
