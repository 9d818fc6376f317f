import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { createCsr } from '../../crypto/csr.ts';
import { generateKeyPair, privateKeyToPem } from '../../crypto/keys.ts';
import { parseTrustDomain } from '../../domain/agent-id.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { writeFileAtomic } from '../../platform/atomic-file.ts';
import type { CommandOutput } from '../command-output.ts';
import { printable, table } from '../mesh-report/plain-text.ts';
import { askAuthority } from './authority-client.ts';
import { operatorFileToText, readOperatorFile } from './operator-file.ts';
import type { TargetFlags } from './target-options.ts';

export interface ListFlags extends TargetFlags {
  readonly json?: boolean;
}

export interface CreateFlags extends ListFlags {
  readonly role: string;
  readonly expires?: string;
  readonly out?: string;
}

interface OperatorView {
  readonly name: string;
  readonly role: string;
  readonly state: string;
  readonly created_by: string;
  readonly expires_at: string;
}

interface CreatedOperator extends OperatorView {
  readonly trust_domain: string;
  readonly authority: string;
  readonly root_certificates: readonly string[];
  readonly certificate: string;
}

/** Makes the key here and has the authority certify it; the key goes into the file and nowhere else. */
export async function createOperator(name: string, flags: CreateFlags, output: CommandOutput): Promise<void> {
  const path = resolve(flags.out ?? `${name}.operator.json`);
  // Asked before the authority is: what it issues must not be lost for want of a place.
  if (existsSync(path)) {
    throw new MeshError('CONFIG_INVALID', `${path} is there already`, { hint: 'name another file with --out' });
  }
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const keyPair = generateKeyPair();
  const answer = (await askAuthority(flags, {
    method: 'POST',
    path: '/operators',
    body: {
      name,
      role: flags.role,
      csr: createCsr({ keyPair }).toString('base64'),
      ...(flags.expires !== undefined && { expires: flags.expires }),
    },
  })) as CreatedOperator;
  const text = operatorFileToText({
    name: answer.name,
    trustDomain: parseTrustDomain(answer.trust_domain),
    authority: answer.authority,
    roots: answer.root_certificates,
    certificate: answer.certificate,
    key: privateKeyToPem(keyPair.privateKey),
    expiresAt: Date.parse(answer.expires_at),
  });
  try {
    await writeFileAtomic(path, text, { mode: 0o600 });
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `${path} cannot be written: ${(cause as Error).message}`, {
      cause,
      hint: `the operator exists without its file: \`ait operator revoke ${name}\`, then make it anew`,
    });
  }
  readOperatorFile(path);
  const { role, expires_at: expiresAt, authority } = answer;
  if (flags.json === true) output.print(JSON.stringify({ name, role, expires_at: expiresAt, authority, file: path }));
  else output.print(`${path}: operator ${name}, ${role}, until ${expiresAt}, for the authority at ${authority}`);
}

export async function listOperators(flags: ListFlags, output: CommandOutput): Promise<void> {
  const operators = (await askAuthority(flags, { method: 'GET', path: '/operators' })) as readonly OperatorView[];
  if (flags.json === true) output.print(JSON.stringify(operators));
  else if (operators.length === 0) output.print('There is no operator yet; `ait operator create` makes one.');
  else {
    const rows = operators.map(({ name, role, state, created_by: by, expires_at: until }) => [
      name,
      role,
      state,
      until,
      by,
    ]);
    output.print(table(['NAME', 'ROLE', 'STATE', 'UNTIL', 'CREATED BY'], rows));
  }
}

export async function revokeOperator(name: string, flags: ListFlags, output: CommandOutput): Promise<void> {
  const revoked = (await askAuthority(flags, { method: 'POST', path: '/operators/revoke', body: { name } })) as object;
  if (flags.json === true) output.print(JSON.stringify(revoked));
  else output.print(`${printable(name)} is revoked: its certificate is worth nothing any more`);
}
