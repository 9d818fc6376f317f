import type { Environment } from '../../platform/environment.ts';
import { NO_KEY } from '../mesh-runner/model-variables.ts';
import { peerVariable } from '../run/agent-environment.ts';
import { fail, ok, skip, warn, type Finding } from './finding.ts';
import { isExcluded } from './no-proxy.ts';
import { isSamePlace, placeOfUrl, portOf, type Place, type Ways } from './ways.ts';

/** Of each pair most clients know one spelling only, and they do not agree which. */
const PROXY_VARIABLES = [
  'HTTP_PROXY',
  'http_proxy',
  'HTTPS_PROXY',
  'https_proxy',
  'ALL_PROXY',
  'all_proxy',
  'grpc_proxy',
] as const;

interface Proxy {
  readonly variable: string;
  readonly place: Place;
  readonly isOurs: boolean;
  readonly isTls: boolean;
}

/** What the proxy variables of the agent do to its calls. */
export function judgeProxies(env: Environment, ways: Ways): readonly Finding[] {
  const findings: Finding[] = [];
  const proxies: Proxy[] = [];
  for (const variable of PROXY_VARIABLES) {
    const value = env[variable] ?? '';
    if (value === '') continue;
    const place = placeOfUrl(value);
    if (place === undefined) {
      findings.push(fail('proxy-variables', `${variable} is no URL`, `correct ${variable}, or unset it`));
      continue;
    }
    const isOurs = ways.common !== undefined && isSamePlace(place, ways.common);
    proxies.push({ variable, place, isOurs, isTls: /^https:/i.test(value) });
  }
  findings.push(...proxies.flatMap((proxy) => (proxy.isOurs ? judgeOurs(proxy, ways) : [])));
  findings.push(...judgeLocalPlaces(proxies, env, ways), ...judgeBypassed(proxies, env, ways));
  if (findings.length > 0) return findings;
  const used = proxies.filter(({ isOurs }) => isOurs).map(({ variable }) => variable);
  if (used.length > 0) return [ok('proxy-variables', `${used.join(', ')} lead to the port for all peers`)];
  return [ok('proxy-variables', proxies.length === 0 ? 'none is set' : 'none concerns a call of the mesh')];
}

function judgeOurs({ variable, isTls }: Proxy, ways: Ways): readonly Finding[] {
  if (!isTls) return [];
  const fix = `write ${variable}=http://${ways.common}`;
  return [fail('proxy-variables', `${variable} has the agent speak TLS to its own sidecar, which refuses it`, fix)];
}

/** Ports beside the agent are called directly: a proxy, also the sidecar's own, does not know them. */
function judgeLocalPlaces(proxies: readonly Proxy[], env: Environment, ways: Ways): readonly Finding[] {
  const places = [...ways.peers.map(({ at }) => at), ways.inference].filter((place) => place !== undefined);
  const ports = places.flatMap((place) => portOf(place) ?? []);
  const caught = ports.filter(({ host, port }) => !noProxyLists(env).every((list) => isExcluded(list, host, port)));
  const [first] = caught;
  const [proxy] = proxies;
  if (first === undefined || proxy === undefined) return [];
  const where = proxy.isOurs ? 'the port for all peers, which does not know this name' : proxy.place;
  const detail = `${proxy.variable} has many clients send calls to ${first.host}:${first.port} to ${where}`;
  return [fail('proxy-variables', detail, `add ${first.host},localhost to NO_PROXY (and no_proxy)`)];
}

/** With the port for all peers as proxy, a name that is excluded from it is looked up in DNS, and called around the mesh. */
function judgeBypassed(proxies: readonly Proxy[], env: Environment, ways: Ways): readonly Finding[] {
  const ours = proxies.find(({ isOurs }) => isOurs);
  if (ours === undefined) return [];
  const bypassed = ways.peers.filter(({ meshName }) =>
    noProxyLists(env).some((list) => isExcluded(list, meshName, 80) || isExcluded(list, meshName, 443)),
  );
  if (bypassed.length === 0) return [];
  const names = bypassed.map(({ meshName }) => meshName).join(', ');
  const fix = 'take these names, `mesh`, `.mesh` and `*` out of NO_PROXY and no_proxy';
  return [fail('proxy-variables', `NO_PROXY has calls to ${names} go around the sidecar`, fix)];
}

/** Both spellings, as far as they are set: a client reads one of them. */
function noProxyLists(env: Environment): readonly string[] {
  const lists = ['NO_PROXY', 'no_proxy'].flatMap((name) => env[name] ?? []);
  return lists.length === 0 ? [''] : lists;
}

/** Clients of the API before 1.0 read the second. */
const BASE_URLS = ['OPENAI_BASE_URL', 'OPENAI_API_BASE'] as const;

/** Whether the agent's model is called through the sidecar, and whether the agent could do without. */
export function judgeModelVariables(env: Environment, { inference }: Ways): readonly Finding[] {
  if (inference === undefined) return [skip('model-variables', 'the sidecar has no inference port')];
  const findings: Finding[] = [];
  for (const variable of BASE_URLS) {
    const value = env[variable];
    if (value === undefined) continue;
    const place = placeOfUrl(value);
    const port = portOf(inference);
    if (port !== undefined && (place === undefined || !isSamePlace(place, inference))) {
      const detail = `${variable} leads to ${place ?? 'nowhere'}, and not to the inference port ${inference}`;
      findings.push(fail('model-variables', detail, `set ${variable}=http://${inference}/v1`));
    } else if (/^https:/i.test(value)) {
      const detail = `${variable} has the agent speak TLS to its own sidecar`;
      findings.push(fail('model-variables', detail, `set ${variable}=http://${inference}/v1`));
    }
  }
  const key = env['OPENAI_API_KEY'] ?? '';
  if (key.startsWith('sk-') && key !== NO_KEY) {
    const detail =
      "OPENAI_API_KEY looks like a provider's key: with it the agent can call its model around the sidecar";
    findings.push(fail('model-variables', detail, `give the key to the sidecar alone, and the agent "${NO_KEY}"`));
  }
  if (findings.length > 0) return findings;
  if (BASE_URLS.every((variable) => env[variable] === undefined)) {
    const isSocket = portOf(inference) === undefined;
    const fix = isSocket
      ? `have the client call ${inference}`
      : `set OPENAI_BASE_URL=http://${inference}/v1 for the agent; \`ait run\` does`;
    return [warn('model-variables', 'nothing in this environment says where the model is', fix)];
  }
  return [ok('model-variables', `the model is called at ${inference}`)];
}

/** Whether what `ait run` sets for peers is what the sidecar has now. */
export function judgePeerVariables(env: Environment, { peers }: Ways): readonly Finding[] {
  const set = peers.flatMap(({ peer, at }) => {
    const variable = peerVariable(peer);
    const value = env[variable];
    return value === undefined || at === undefined ? [] : [{ peer, at, variable, value }];
  });
  const stale = set.filter(({ at, value }) => !isSamePlace(value, at));
  if (stale.length > 0) {
    return stale.map(({ peer, at, variable, value }) =>
      fail(
        'peer-variables',
        `${variable} is ${value}, and ${peer} is called at ${at}`,
        `restart the agent, or set ${at}`,
      ),
    );
  }
  if (set.length === 0) return [skip('peer-variables', 'no AIT_PEER_ variable is set here')];
  return [ok('peer-variables', `${set.length} agree with the sidecar`)];
}
