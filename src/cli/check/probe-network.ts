import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { readCertificateFields } from '../../crypto/certificate-fields.ts';
import { rootPin } from '../../crypto/root-pin.ts';
import { fetchChain } from '../../membership/join.ts';
import type { AuthorityLook } from './judge-authority.ts';
import type { Lookup } from './judge-names.ts';

/** Asks the system's resolver, as the agent's own programs do. Never rejects. */
export async function lookUp(host: string): Promise<Lookup> {
  if (isIP(host) !== 0) return { ok: true, addresses: [host] };
  try {
    const found = await lookup(host, { all: true });
    return { ok: true, addresses: found.map(({ address }) => address) };
  } catch (error) {
    return { ok: false, code: (error as NodeJS.ErrnoException).code ?? (error as Error).message };
  }
}

/** Looks at the certificates of whoever is at the authority's address. Says nothing, trusts nobody. Never rejects. */
export async function lookAtAuthority(address: string, timeoutMs: number): Promise<AuthorityLook> {
  try {
    const chain = await fetchChain({ address, handshakeTimeoutMs: timeoutMs });
    const [own] = chain;
    if (own === undefined) return { ok: false, detail: 'it shows no certificate' };
    const { notBefore, notAfter } = readCertificateFields(own);
    return { ok: true, notBefore, notAfter, sent: chain.map(rootPin) };
  } catch (error) {
    return { ok: false, detail: (error as Error).message };
  }
}
