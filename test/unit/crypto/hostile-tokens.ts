import { createHmac, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { aitClaimsToJson } from '../../../src/crypto/ait-claims.ts';
import { exportJwk } from '../../../src/crypto/keys.ts';
import type { KeyPair } from '../../../src/crypto/keys.ts';
import type { AitClaims, ProofClaims } from '../../../src/domain/identity-token.ts';
import { measurementToJson } from '../../../src/domain/measurement-json.ts';
import type { RejectionCode } from '../../../src/domain/rejection.ts';
import { encodePart } from './fixture.ts';

type Json = Record<string, unknown>;
export type HostileAits = Record<string, readonly [compact: string, code: RejectionCode]>;
export type HostileProofs = Record<string, string>;

/** A compact JWS over any header and payload (objects, or texts for what no object can say), with a true signature. */
export function signAnything(header: unknown, payload: unknown, key: KeyObject): string {
  const input = `${encodePart(header)}.${encodePart(payload)}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

/** 64 bytes end in A, Q, g or w; the next letter decodes to the same bytes. */
const flipLastBits = (part: string): string =>
  `${part.slice(0, -1)}${String.fromCharCode(part.charCodeAt(part.length - 1) + 1)}`;
const without = (json: Json, name: string): Json =>
  Object.fromEntries(Object.entries(json).filter(([other]) => other !== name));

/** What is wrong with each is its only fault: all the rest, signature included, is as it should be. */
export function hostileAits(claims: AitClaims, authority: KeyPair, kid: string, stranger: KeyPair): HostileAits {
  const { privateKey: key, publicKey } = authority;
  const good = { alg: 'ES256', typ: 'ait+jwt', kid };
  const json = aitClaimsToJson(claims) as Json;
  const text = JSON.stringify(json);
  const agent = json['agent'] as Json;
  const measurement = agent['measurement'] as Json;
  const cnf = json['cnf'] as Json;
  const token = signAnything(good, json, key);
  const [header = '', payload = '', signature = ''] = token.split('.');
  const input = `${header}.${payload}`;
  const hmac = (secret: string | Buffer): string => {
    const hsInput = `${encodePart({ ...good, alg: 'HS256' })}.${payload}`;
    return `${hsInput}.${createHmac('sha256', secret).update(hsInput).digest('base64url')}`;
  };

  const malformed: Record<string, string> = {};
  const withHeader = (name: string, value: unknown): void => void (malformed[name] = signAnything(value, json, key));
  const withClaims = (name: string, value: unknown): void => void (malformed[name] = signAnything(good, value, key));
  const withAgent = (name: string, change: Json): void => withClaims(name, { ...json, agent: { ...agent, ...change } });
  const withMeasurement = (name: string, change: Json): void =>
    withAgent(name, { measurement: { ...measurement, ...change } });

  malformed['empty'] = '';
  malformed['no dots'] = 'token';
  malformed['two parts'] = input;
  malformed['four parts'] = `${token}.AAAA`;
  malformed['five parts, an encrypted token'] = `${token}.AAAA.AAAA`;
  malformed['alg none, no signature'] = `${encodePart({ ...good, alg: 'none' })}.${payload}.`;
  malformed['HS256 keyed with the public key, PEM'] = hmac(
    publicKey.export({ format: 'pem', type: 'spki' }).toString(),
  );
  malformed['HS256 keyed with the public key, DER'] = hmac(publicKey.export({ format: 'der', type: 'spki' }));
  malformed['padding'] = `${input}.${signature}==`;
  malformed['white space'] = ` ${token}`;
  malformed['line feed at the end'] = `${token}\n`;
  malformed['standard base64'] =
    `${input}.${Buffer.from(signature, 'base64url').toString('base64').replace('==', '')}+`;
  malformed['unused bits of the signature set'] = `${input}.${flipLastBits(signature)}`;
  malformed['signature in DER'] = `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
  malformed['longer than 48 KiB'] = `${token}${'A'.repeat(49_152)}`;
  for (const alg of ['none', 'None', 'HS256', 'ES384', 'es256', 'EdDSA', null, 7])
    withHeader(`alg ${alg}`, { ...good, alg });
  for (const typ of ['JWT', 'AIT+jwt', 'application/ait+jwt', 'ait-proof+jwt', 'ait-object+jwt', ['ait+jwt'], '']) {
    withHeader(`typ ${JSON.stringify(typ)}`, { ...good, typ });
  }
  for (const name of ['alg', 'typ', 'kid']) withHeader(`no ${name}`, without(good, name));
  for (const wild of [
    '../../etc/passwd',
    `../${kid}`,
    `${kid}/..`,
    '',
    'a b',
    "' OR 1=1",
    `${kid}\0`,
    'k'.repeat(129),
    5,
  ]) {
    withHeader(`kid ${JSON.stringify(wild).slice(0, 30)}`, { ...good, kid: wild });
  }
  for (const [name, value] of Object.entries({
    jwk: exportJwk(stranger.publicKey),
    jku: 'https://evil.example/keys',
    x5u: 'https://evil.example/chain',
    x5c: ['AAAA'],
    x5t: 'AAAA',
    crit: ['exp'],
    b64: true,
    zip: 'DEF',
    cty: 'JWT',
    whatever: 1,
  })) {
    withHeader(`header with ${name}`, { ...good, [name]: value });
  }
  withHeader('unknown crit', { ...good, crit: ['http://evil.example'], 'http://evil.example': 1 });
  withHeader('duplicate alg', `{"alg":"none","alg":"ES256","typ":"ait+jwt","kid":"${kid}"}`);
  withHeader('duplicate kid, escaped', `{"alg":"ES256","typ":"ait+jwt","kid":"${kid}","k\\u0069d":"${kid}"}`);
  withHeader('header is an array', [good]);
  withHeader('header is not JSON', 'alg=ES256');
  withClaims('payload is not JSON', 'sub=planner');
  withClaims('payload is null', null);
  withClaims('duplicate sub', text.replace('{', '{"sub":"spiffe://acme.example/agent/other",'));
  withClaims('duplicate exp, escaped', text.replace('{', '{"e\\u0078p":9,'));
  withClaims('byte order mark', `\ufeff${text}`);
  withClaims('text after the payload', `${text}{}`);
  for (const name of Object.keys(json)) withClaims(`no ${name}`, without(json, name));
  for (const name of ['exp', 'nbf', 'iat']) {
    for (const wild of ['9999999999', 1.5, -1, null, true, [9], 1e15]) {
      withClaims(`${name} ${JSON.stringify(wild)}`, { ...json, [name]: wild });
    }
    withClaims(`${name} 1e400`, text.replace(new RegExp(`"${name}":\\d+`), `"${name}":1e400`));
  }
  withClaims('exp = nbf', { ...json, exp: json['nbf'] });
  for (const aud of ['acme.example', [], [7], ['ACME.example'], ['acme.example', 'acme.example'], null, {}]) {
    withClaims(`aud ${JSON.stringify(aud)}`, { ...json, aud });
  }
  for (const sub of [
    'planner',
    'spiffe://acme.example/authority',
    'spiffe://acme.example/agent/',
    'spiffe://acme.example',
    7,
  ]) {
    withClaims(`sub ${JSON.stringify(sub)}`, { ...json, sub });
  }
  for (const iss of ['acme.example', 'spiffe://acme.example/', 'spiffe://acme.example/authority', '', 7]) {
    withClaims(`iss ${JSON.stringify(iss)}`, { ...json, iss });
  }
  withClaims('another eat_profile', { ...json, eat_profile: 'tag:ait-mesh.dev,2026:ait-2' });
  withClaims('jti empty', { ...json, jti: '' });
  withClaims('cnf without jwk', { ...json, cnf: without(cnf, 'jwk') });
  withClaims('cnf without x5t#S256', { ...json, cnf: without(cnf, 'x5t#S256') });
  withClaims('cnf with kid', { ...json, cnf: { ...cnf, kid } });
  withClaims('cnf.x5t#S256 in hexadecimal', { ...json, cnf: { ...cnf, 'x5t#S256': 'ab'.repeat(32) } });
  withClaims('cnf.jwk with d', { ...json, cnf: { ...cnf, jwk: { ...(cnf['jwk'] as Json), d: 'A'.repeat(43) } } });
  withClaims('cnf.jwk of P-384', { ...json, cnf: { ...cnf, jwk: { ...(cnf['jwk'] as Json), crv: 'P-384' } } });
  withAgent('agent with something unknown', { role: 'admin' });
  withAgent('a sponsor with a name', { sponsor: { format: 'email', id: 'a@acme.example' } });
  withAgent('no measurement', { measurement: null });
  withMeasurement('measurement with something unknown', { memory: null });
  withMeasurement('measurement of nothing', { system_prompt: null, knowledge_base: null, model: null, tools: null });
  const knowledge = measurement['knowledge_base'] as Json;
  const hex = String(knowledge['hash']).slice(7);
  for (const [what, hash] of Object.entries({
    'upper case': `sha256:${hex.toUpperCase()}`,
    truncated: `sha256:${hex.slice(0, 32)}`,
    'one digit short': `sha256:${hex.slice(1)}`,
    bare: hex,
    sha1: `sha1:${hex.slice(0, 40)}`,
    sha512: `sha512:${hex}${hex}`,
    'with a line feed': `sha256:${hex}\n`,
    empty: '',
  })) {
    withMeasurement(`hash ${what}`, { knowledge_base: { ...knowledge, hash } });
  }
  withMeasurement('unknown canonicalization', { knowledge_base: { ...knowledge, canonicalization: 'ait-text-2' } });
  withMeasurement('unknown assurance', { knowledge_base: { ...knowledge, assurance: 'certain' } });
  withMeasurement('no prompts', { system_prompt: { prompts: {}, assurance: 'at_rest' } });

  const hostile: HostileAits = {};
  for (const [name, compact] of Object.entries(malformed)) hostile[name] = [compact, 'AIT_MALFORMED'];
  const [, otherPayload = ''] = signAnything(good, { ...json, jti: 'other' }, key).split('.');
  hostile['payload exchanged'] = [`${header}.${otherPayload}.${signature}`, 'AIT_SIGNATURE_INVALID'];
  hostile["signed by a stranger under the authority's kid"] = [
    signAnything(good, json, stranger.privateKey),
    'AIT_SIGNATURE_INVALID',
  ];
  hostile['signature of zeros'] = [`${input}.${'A'.repeat(86)}`, 'AIT_SIGNATURE_INVALID'];
  hostile['unknown kid'] = [signAnything({ ...good, kid: 'unknown' }, json, key), 'AIT_ISSUER_UNKNOWN'];
  hostile['another issuer under our kid'] = [
    signAnything(good, { ...json, iss: 'spiffe://evil.example', sub: 'spiffe://evil.example/agent/x' }, key),
    'AIT_ISSUER_UNKNOWN',
  ];
  hostile["another domain's agent under our issuer"] = [
    signAnything(good, { ...json, sub: 'spiffe://evil.example/agent/x' }, key),
    'AIT_ISSUER_UNKNOWN',
  ];
  return hostile;
}

/** Signed by the certificate's own key, but for what the name says. */
export function hostileProofs(claims: ProofClaims, own: KeyPair, stranger: KeyPair): HostileProofs {
  const good = { alg: 'ES256', typ: 'ait-proof+jwt' };
  const json: Json = { ...claims, measurement: measurementToJson(claims.measurement) };
  const key = own.privateKey;
  const token = signAnything(good, json, key);
  const [header = '', payload = '', signature = ''] = token.split('.');
  const hostile: HostileProofs = {
    empty: '',
    'no signature': `${header}.${payload}.`,
    'signature of zeros': `${header}.${payload}.${'A'.repeat(86)}`,
    'unused bits of the signature set': `${header}.${payload}.${flipLastBits(signature)}`,
    'signed by a stranger': signAnything(good, json, stranger.privateKey),
    'longer than 48 KiB': `${token}${'A'.repeat(49_152)}`,
    'duplicate seq': signAnything(good, JSON.stringify(json).replace('{', '{"seq":0,'), key),
  };
  const withHeader = (name: string, value: unknown): void => void (hostile[name] = signAnything(value, json, key));
  const withClaims = (name: string, change: Json): void =>
    void (hostile[name] = signAnything(good, { ...json, ...change }, key));
  withHeader('alg none', { ...good, alg: 'none' });
  withHeader('alg HS256', { ...good, alg: 'HS256' });
  withHeader('typ of a token', { ...good, typ: 'ait+jwt' });
  withHeader('embedded jwk', { ...good, jwk: exportJwk(stranger.publicKey) });
  withHeader('kid', { ...good, kid: 'k' });
  withHeader('crit', { ...good, crit: ['x'] });
  for (const name of Object.keys(json)) hostile[`no ${name}`] = signAnything(good, without(json, name), key);
  const other = 'A'.repeat(43);
  const { nonce, x5t } = claims;
  withClaims('something unknown', { jti: 'x' });
  withClaims('another audience', { aud: 'spiffe://acme.example/agent/other' });
  withClaims('our own role (reflection)', { role: claims.role === 'dialler' ? 'acceptor' : 'dialler' });
  withClaims('an earlier turn (replay)', { seq: claims.seq - 1 });
  withClaims('a later turn', { seq: claims.seq + 1 });
  withClaims('seq as text', { seq: String(claims.seq) });
  withClaims('another nonce of the dialler', { nonce: { ...nonce, dialler: other } });
  withClaims('another nonce of the acceptor', { nonce: { ...nonce, acceptor: other } });
  withClaims('nonces exchanged', { nonce: { dialler: nonce.acceptor, acceptor: nonce.dialler } });
  withClaims('another certificate of the dialler', { x5t: { ...x5t, dialler: other } });
  withClaims('another certificate of the acceptor', { x5t: { ...x5t, acceptor: other } });
  withClaims('another token', { ath: other });
  withClaims('iat as text', { iat: String(claims.iat) });
  withClaims('no dimension', { measurement: {} });
  withClaims('nothing measured', { measurement: null });
  return hostile;
}
