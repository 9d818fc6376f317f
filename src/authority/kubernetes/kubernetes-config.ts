import { resolve } from 'node:path';
import * as v from 'valibot';
import { isSpiffeId } from '../../domain/agent-id.ts';

/** `<namespace>/<account>`, names as Kubernetes takes them (RFC 1123). */
const ACCOUNT = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;

const httpsUrl = (text: string) =>
  v.pipe(
    v.string(),
    v.check(isPlainHttpsUrl, 'is not an https URL without user, query and fragment'),
    v.description(text),
  );

const path = (text: string) => v.pipe(v.string(), v.minLength(1), v.maxLength(4096), v.description(text));

const cluster = v.pipe(
  v.strictObject({
    issuer: httpsUrl(
      "What `iss` of the cluster's ServiceAccount tokens says, to the letter (`--service-account-issuer` of its API server). Two clusters cannot share one.",
    ),
    audience: v.pipe(
      v.string(),
      v.regex(/^[\x20-\x7e]{1,1000}$/, 'is not a printable text'),
      v.description(
        "What `aud` of a token must contain, exactly: `audience` of the pod's projected volume. Take one of your own, such as `ait-mesh/acme.example`, never the API server's.",
      ),
    ),
    jwks_file: v.optional(
      path(
        "File with the issuer's public keys (`kubectl get --raw /openid/v1/jwks`), instead of asking the issuer. Read again when a token names a key that is not in it.",
      ),
    ),
    jwks_uri: v.optional(
      httpsUrl("Where the issuer's keys are, instead of what `<issuer>/.well-known/openid-configuration` says."),
    ),
    ca_file: v.optional(
      path("Certificates (PEM) that vouch for the issuer's TLS, and no others. Default: those that Node.js trusts."),
    ),
    accounts: v.pipe(
      v.record(
        v.pipe(v.string(), v.regex(ACCOUNT, 'is not <namespace>/<service account>; there are no wildcards')),
        v.pipe(v.string(), v.check(isAgentName, 'is not the name of an agent')),
      ),
      v.check((accounts) => Object.keys(accounts).length > 0, 'names no account, so that nobody could join'),
      v.description(
        'Which agent a ServiceAccount stands for: `<namespace>/<account>: <agent>`. Each is named in full; a pattern would make an agent of every account that somebody may create in a namespace.',
      ),
    ),
  }),
  v.check(
    ({ jwks_file: file, jwks_uri: uri, ca_file: ca }) => file === undefined || (uri === undefined && ca === undefined),
    'has jwks_file, with which nothing is fetched: leave jwks_uri and ca_file out',
  ),
);

/** The section `kubernetes` of the authority's configuration. */
export const kubernetesSection = v.optional(
  v.pipe(
    v.array(cluster),
    v.minLength(1, 'names no cluster: leave it out, or name one'),
    v.maxLength(100),
    v.check(
      (clusters) => new Set(clusters.map(({ issuer }) => issuer)).size === clusters.length,
      'has one issuer twice: give each cluster a --service-account-issuer of its own',
    ),
    v.description(
      'Clusters whose pods may join with a projected ServiceAccount token instead of a join credential. Default: none.',
    ),
  ),
);

export type ClusterConfig = v.InferOutput<typeof cluster>;

/** Paths in the file are meant from where the file is. */
export function resolveClusterPaths(clusters: readonly ClusterConfig[], folder: string): ClusterConfig[] {
  const from = (file: string | undefined) => (file === undefined ? undefined : resolve(folder, file));
  return clusters.map((each) => ({ ...each, jwks_file: from(each.jwks_file), ca_file: from(each.ca_file) }));
}

function isPlainHttpsUrl(text: string): boolean {
  if (!/^https:\/\/[\x21-\x7e]{1,1000}$/.test(text) || !URL.canParse(text)) return false;
  const { username, password, search, hash } = new URL(text);
  return username === '' && password === '' && search === '' && hash === '' && !/[?#]/.test(text);
}

function isAgentName(text: string): boolean {
  return isSpiffeId(`spiffe://a/agent/${text}`);
}
