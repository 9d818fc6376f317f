import * as v from 'valibot';
import { parseTrustDomain, resolveAgentId, trustDomainOf } from '../../domain/agent-id.ts';
import { isHostPort } from '../../domain/host-port.ts';
import { isMeshError } from '../../domain/mesh-error.ts';

const path = (text: string) => v.pipe(v.string(), v.minLength(1), v.maxLength(4096), v.description(text));

const members = {
  join_credential: v.optional(
    path(
      'The file that `ait agent credential` wrote. Only the sidecar may be able to read it. Either this or service_account_token_file.',
    ),
  ),
  service_account_token_file: v.optional(
    path(
      'A projected Kubernetes ServiceAccount token to join with instead; read again for each attempt. Needs address, trust_domain, agent, and root_sha256 or root_file.',
    ),
  ),
  address: v.optional(
    v.pipe(
      v.string(),
      v.check((address) => isHostPort(address), 'expected host:port, for example 10.0.0.7:17443'),
      v.description("The authority's gRPC address. Default: the one in the join credential."),
    ),
  ),
  trust_domain: v.optional(
    v.pipe(
      v.string(),
      v.check(isTrustDomain, 'expected a trust domain such as acme.example'),
      v.description('Name of the mesh. Only with a token; a join credential says it.'),
    ),
  ),
  agent: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[A-Za-z0-9._:/-]{1,2048}$/, 'expected an agent name or SPIFFE ID'),
      v.description('Whose sidecar this is. Only with a token; a join credential says it.'),
    ),
  ),
  root_sha256: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[0-9a-f]{64}$/, 'expected 64 lowercase hexadecimal digits'),
      v.description(
        "SHA-256 of the authority's root certificate (`root_sha256` in its log and `GET /status`). Only with a token.",
      ),
    ),
  ),
  root_file: v.optional(path("The authority's root certificate in PEM, instead of root_sha256. Only with a token.")),
};

type Member = keyof typeof members;

/** What only a token needs: it says none of this, and there is no trust on first use. */
const WITH_TOKEN = ['address', 'trust_domain', 'agent'] as const satisfies readonly Member[];
const NOT_WITH_CREDENTIAL = ['trust_domain', 'agent', 'root_sha256', 'root_file'] as const satisfies readonly Member[];

/** The section `authority` of a sidecar's configuration: where the authority is, and one way to become a member. */
export const authoritySection = v.pipe(
  v.strictObject(members),
  v.rawCheck(({ dataset, addIssue }) => {
    // Also where a member is wrong or misspelled: all that is missing is told at once.
    const section = dataset.value as Partial<Record<Member, string>>;
    if (typeof section !== 'object' || section === null) return;
    const at = (key: Member) =>
      [{ type: 'object', origin: 'value', input: section, key, value: section[key] }] as const;
    const missing = (key: Member) => addIssue({ message: 'is required', received: 'undefined', path: [...at(key)] });
    const has = (key: Member) => section[key] !== undefined;
    if (has('join_credential') && has('service_account_token_file')) {
      addIssue({ message: 'has join_credential and service_account_token_file: leave one of them out' });
    } else if (has('service_account_token_file')) {
      WITH_TOKEN.filter((key) => !has(key)).forEach(missing);
      if (!has('root_sha256') && !has('root_file')) missing('root_sha256');
      if (has('root_sha256') && has('root_file'))
        addIssue({ message: 'has root_sha256 and root_file: leave one of them out' });
      if (!isOwnAgent(section)) addIssue({ message: 'is no agent of trust_domain', path: [...at('agent')] });
    } else if (has('join_credential')) {
      for (const key of NOT_WITH_CREDENTIAL.filter(has)) {
        addIssue({ message: 'belongs to service_account_token_file; the join credential says it', path: [...at(key)] });
      }
    } else missing('join_credential');
  }),
);

function isTrustDomain(name: string): boolean {
  return succeeds(() => parseTrustDomain(name) === name);
}

/** What is missing is told elsewhere. */
function isOwnAgent({ trust_domain: domain, agent }: { trust_domain?: unknown; agent?: unknown }): boolean {
  if (typeof domain !== 'string' || typeof agent !== 'string') return true;
  return succeeds(() => trustDomainOf(resolveAgentId(parseTrustDomain(domain), agent)) === domain);
}

function succeeds(check: () => boolean): boolean {
  try {
    return check();
  } catch (error) {
    if (isMeshError(error)) return false;
    throw error;
  }
}
