/**
 * Makes a development root and SVIDs under it, with the code that the authority issues with.
 *
 *   node --import tsx certs/generate-dev-pki.ts --out <folder> --trust-domain <name> [--agents a,b] [--lifetime 24h]
 *
 * For looking at TLS by hand. A mesh needs none of it: see README.md.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { generateKeyPair, privateKeyToPem } from '../src/crypto/keys.ts';
import { createRoot, issueSvid, openIssuer } from '../src/crypto/x509-issuer.ts';
import { agentId, authorityId, parseTrustDomain, type SpiffeId } from '../src/domain/agent-id.ts';
import { parseDuration } from '../src/domain/duration.ts';

/** Clocks may be behind ours by so much, in ms. */
const BACKDATE_MS = 60_000;

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    'trust-domain': { type: 'string', default: 'dev.mesh' },
    agents: { type: 'string', default: 'planner,researcher' },
    lifetime: { type: 'string', default: '24h' },
  },
});
if (values.out === undefined) throw new Error('name the folder to write to: --out <folder>');

const folder = values.out;
const trustDomain = parseTrustDomain(values['trust-domain']);
// Certificates count in whole seconds.
const now = Math.floor(Date.now() / 1000) * 1000;
const notBefore = now - BACKDATE_MS;
const notAfter = now + parseDuration(values.lifetime);

mkdirSync(folder, { recursive: true, mode: 0o700 });
const root = createRoot({
  trustDomain,
  commonName: `development only: ${trustDomain}`.slice(0, 64),
  notBefore,
  notAfter,
});
write('root', root.certPem, root.keyPem);
const issuer = openIssuer(root);

const agents = values.agents.split(',').filter((name) => name !== '');
for (const name of agents) issue(name.replaceAll('/', '.'), agentId(trustDomain, name));
issue('authority', authorityId(trustDomain));

function issue(file: string, spiffeId: SpiffeId): void {
  const { publicKey, privateKey } = generateKeyPair();
  const pem = issueSvid({ issuer, publicKey, spiffeId, notBefore, notAfter, serial: randomBytes(16) });
  write(file, pem, privateKeyToPem(privateKey));
  console.log(`${join(folder, `${file}.pem`)}  ${spiffeId}`);
}

/** Never overwrites: somebody may still use what is there. */
function write(file: string, certPem: string, keyPem: string): void {
  writeFileSync(join(folder, `${file}.key`), keyPem, { mode: 0o600, flag: 'wx' });
  writeFileSync(join(folder, `${file}.pem`), certPem, { mode: 0o600, flag: 'wx' });
}
