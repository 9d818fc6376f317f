import type { TargetFlags } from './target-options.ts';

export interface CredentialFlags extends TargetFlags {
  readonly uses?: string;
  readonly expires?: string;
  readonly advertise?: string;
  readonly out?: string;
}

/** Makes a join credential for one agent or one inference service, and prints it or writes it to a file (0600). */
export async function writeCredential(
  subject: { readonly agent: string } | { readonly inference: string },
  flags: CredentialFlags,
): Promise<void> {
  const [{ askAuthority }, { MeshError }] = await Promise.all([
    import('./authority-client.ts'),
    import('../../domain/mesh-error.ts'),
  ]);
  if (flags.uses !== undefined && !/^([1-9][0-9]{0,6}|unlimited)$/.test(flags.uses)) {
    throw new MeshError('CONFIG_INVALID', `--uses ${flags.uses}: not a whole number from 1 on, nor unlimited`);
  }
  const answer = await askAuthority(flags, {
    method: 'POST',
    path: '/join-credentials',
    body: {
      ...subject,
      ...(flags.uses !== undefined && { uses: flags.uses === 'unlimited' ? flags.uses : Number(flags.uses) }),
      ...(flags.expires !== undefined && { expires: flags.expires }),
      ...(flags.advertise !== undefined && { authority: flags.advertise }),
    },
  });
  const { credential, agent: id, uses, expires_at: expiresAt } = answer as Record<string, string>;
  if (flags.out === undefined) {
    console.log(credential);
    return;
  }
  const { writeFileAtomic } = await import('../../platform/atomic-file.ts');
  await writeFileAtomic(flags.out, `${credential}\n`, { mode: 0o600 });
  console.log(`${flags.out}: join credential for ${id}, ${uses} use(s), until ${expiresAt}`);
}
