import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { test } from 'node:test';
import { generateKeyPair, sha256Base64Url } from '../../../src/crypto/keys.ts';
import { signVoucher, voucherProblem } from '../../../src/crypto/voucher.ts';
import type { VoucherClaims } from '../../../src/domain/identity-token.ts';
import { isMeshError } from '../../../src/domain/mesh-error.ts';

const { privateKey, publicKey } = generateKeyPair();
const claims: VoucherClaims = {
  sid: 'ab'.repeat(16),
  role: 'dialler',
  from: sha256Base64Url('one certificate'),
  to: sha256Base64Url('the next'),
};
const compact = signVoucher(claims, privateKey);

test('a voucher holds for exactly what was signed', () => {
  assert.equal(voucherProblem({ compact, expected: claims, publicKey }), undefined);
  const others: Partial<VoucherClaims>[] = [
    { sid: 'cd'.repeat(16) },
    { role: 'acceptor' },
    { from: claims.to },
    { to: claims.from },
  ];
  for (const other of others) {
    const [name] = Object.keys(other);
    const problem = voucherProblem({ compact, expected: { ...claims, ...other }, publicKey });
    assert.match(problem ?? '', new RegExp(`${name} differs`));
  }
});

test('what is no voucher of the key is none, and never throws', () => {
  const [header = '', payload = '', signature = ''] = compact.split('.');
  const none = Buffer.from('{"alg":"none","typ":"ait-voucher+jwt"}').toString('base64url');
  const proof = Buffer.from('{"alg":"ES256","typ":"ait-proof+jwt"}').toString('base64url');
  const more = Buffer.from(JSON.stringify({ ...claims, aud: 'x' })).toString('base64url');
  const bad = [
    '',
    '..',
    'voucher',
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${none}.${payload}.`,
    `${none}.${payload}.${signature}`,
    `${proof}.${payload}.${signature}`,
    `${header}.${more}.${signature}`,
    `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
    compact + 'A'.repeat(2000),
  ];
  for (const text of bad) {
    assert.equal(typeof voucherProblem({ compact: text, expected: claims, publicKey }), 'string', text.slice(0, 80));
  }
  assert.match(
    voucherProblem({ compact, expected: claims, publicKey: generateKeyPair().publicKey }) ?? '',
    /not signed/,
  );
  const secret = createSecretKey(Buffer.alloc(32));
  assert.match(voucherProblem({ compact, expected: claims, publicKey: secret }) ?? '', /not EC P-256/);
  assert.throws(
    () => signVoucher(claims, publicKey),
    (error) => isMeshError(error, 'KEY_INVALID'),
  );
});
