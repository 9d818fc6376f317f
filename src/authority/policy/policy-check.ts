import type { TrustDomain } from '../../domain/agent-id.ts';
import { MeshError } from '../../domain/mesh-error.ts';
import { listPolicyFiles, type PolicyListing } from './policy-files.ts';
import { readPolicyFile } from './policy-objects.ts';
import { mergePolicy } from './policy-registry.ts';
import type { PolicyProblem } from './policy-yaml.ts';

export interface PolicyCheck {
  readonly problems: readonly PolicyProblem[];
  /** How many objects the directory puts in force. */
  readonly records: number;
}

/**
 * Reads a policy directory as an authority would that has no state yet.
 *
 * @throws MeshError `FILE_UNREADABLE`
 */
export async function checkPolicyDirectory(directory: string, trustDomain: TrustDomain): Promise<PolicyCheck> {
  let listing: PolicyListing;
  try {
    listing = await listPolicyFiles(directory);
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `the policy directory ${directory} cannot be read`, { cause });
  }
  const files = [...listing.texts].map(([file, text]) => readPolicyFile(file, text, trustDomain));
  const { records, problems } = mergePolicy(new Map(), files);
  return { problems: [...listing.problems, ...problems], records: records.size };
}
