import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentId, parseTrustDomain } from '../../../src/domain/agent-id.ts';
import { joinCredentialToText, parseJoinCredential, type JoinCredential } from '../../../src/domain/join-credential.ts';

const trustDomain = parseTrustDomain('acme.example');
const credential: JoinCredential = {
  trustDomain,
  subject: agentId(trustDomain, 'planner'),
  id: 'A'.repeat(22),
  secret: Buffer.alloc(32, 7),
  rootSha256: 'a'.repeat(64),
  authority: 'authority.mesh:17100',
  expiresAt: 5,
};

test('a credential survives as one line of text, and whitespace around it', () => {
  const text = joinCredentialToText(credential);
  assert.match(text, /^ait-join-1\.[A-Za-z0-9_-]+$/);
  assert.deepEqual(parseJoinCredential(`\n ${text}\n`), credential);
});

const text = joinCredentialToText(credential);
const json = (changes: object) =>
  `ait-join-1.${Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(text.slice(11), 'base64url').toString()), ...changes })).toString('base64url')}`;
const broken: readonly [string, string][] = [
  ['empty', ''],
  ['another version', text.replace('ait-join-1', 'ait-join-2')],
  ['cut', text.slice(0, -20)],
  ['a line too many', `${text}\n${text}`],
  ['an authority as agent', json({ agent: 'spiffe://acme.example/authority' })],
  ["another domain than the agent's", json({ trust_domain: 'evil.example' })],
  ['no pin', json({ root_sha256: '' })],
  ['a short secret', json({ secret: 'abc' })],
  ['an address without a port', json({ authority: 'authority' })],
  ['an unknown member', json({ extra: 1 })],
];
for (const [name, line] of broken) {
  test(`refused without repeating the secret: ${name}`, () => {
    assert.throws(
      () => parseJoinCredential(line),
      (error: Error & { code: string }) =>
        error.code === 'JOIN_CREDENTIAL_MALFORMED' &&
        !error.message.includes(Buffer.from(credential.secret).toString('base64url')),
    );
  });
}
