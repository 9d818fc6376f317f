import { systemClock } from '../../platform/clock.ts';
import { findWaysAround } from '../../sidecar/app/ways-around.ts';
import type { Decision } from '../../sidecar/decision-log.ts';
import { isAgent } from '../explain/decision-record.ts';
import { readAdmin } from '../mesh-runner/admin-client.ts';
import { ok, skip, type Finding } from './finding.ts';
import { judgeAuthority } from './judge-authority.ts';
import { judgeHost, judgeMeshName } from './judge-names.ts';
import { judgeClock, judgeConfig, judgeDates, judgeReadiness, judgeSilentSidecar } from './judge-sidecar.ts';
import { judgeModelVariables, judgePeerVariables, judgeProxies } from './judge-variables.ts';
import { judgeApp, judgeAround, judgeHttp2, judgeModels, judgeSocket, judgeTunnel, type Reason } from './judge-ways.ts';
import { lookAtAuthority, lookUp } from './probe-network.ts';
import { askModels, greetHttp2, lookAtSocket, tryConnect } from './probe-place.ts';
import { askTunnel } from './probe-tunnel.ts';
import type { Subject } from './subject.ts';
import { portOf, type PeerWay, type Place } from './ways.ts';

/** Peers that are tried at once: each may need a session of its own. */
const AT_ONCE = 4;
/** HTTPS's, which clients put behind a name that they call through a proxy. */
const TUNNEL_PORT = 443;
/** A token says its time in whole seconds, cut off: on average it is half a second more. */
const TOKEN_ROUNDING_MS = 500;

/**
 * Tries everything that an agent needs of its sidecar, and looks for what leads around it. It changes nothing; what it asks
 * for at a way in is on record there like any other connection.
 *
 * @param timeoutMs for each single thing that is tried
 */
export async function check(subject: Subject, timeoutMs: number): Promise<readonly Finding[]> {
  const { ways, env } = subject;
  const startedAt = systemClock.now();
  const [sidecar, sockets, peers, common, others, names] = await Promise.all([
    checkSidecar(subject, timeoutMs),
    checkSockets(subject),
    checkTunnels(ways.peers, (way) => (way.at === undefined ? [] : [{ check: 'peer-way', at: way.at }]), {
      subject,
      startedAt,
      timeoutMs,
    }),
    checkCommonPort(subject, { startedAt, timeoutMs }),
    checkOtherWays(subject, timeoutMs),
    checkNames(subject),
  ]);
  const variables = [judgeProxies, judgeModelVariables, judgePeerVariables].flatMap((judge) => judge(env, ways));
  return [...sidecar, ...sockets, ...peers, ...common, ...others, ...names, ...variables];
}

async function checkSidecar({ sidecar, socket }: Subject, timeoutMs: number): Promise<readonly Finding[]> {
  if (sidecar === undefined || socket === undefined) {
    return [skip('sidecar-answers', 'no admin socket is known here: what only the sidecar knows was not looked at')];
  }
  if (!sidecar.ok) return [judgeSilentSidecar(socket, sidecar.failure.code, sidecar.failure.detail)];
  const { view } = sidecar;
  const now = systemClock.now();
  const { address, skewMs } = view.authority;
  return [
    ok('sidecar-answers', socket),
    ...judgeReadiness(view),
    ...judgeConfig(view),
    judgeClock("the sidecar's clock", view.now - now),
    ...(skewMs === undefined
      ? []
      : [judgeClock("the authority's clock, against the sidecar's", skewMs + TOKEN_ROUNDING_MS)]),
    ...judgeDates(view, now),
    ...judgeAuthority({
      address,
      look: await lookAtAuthority(address, timeoutMs),
      roots: view.roots.map(({ sha256 }) => sha256),
      now,
    }),
  ];
}

async function checkSockets({ socket, ways }: Subject): Promise<readonly Finding[]> {
  const places = [...ways.peers.map(({ at }) => at), ways.common, ways.inference].filter((at) => at !== undefined);
  const forAgent = await Promise.all(places.map(lookAtSocket));
  const admin = socket === undefined ? undefined : await lookAtSocket(`unix:${socket}`);
  return [
    ...(admin === undefined ? [] : [judgeSocket(admin, 'operators')]),
    ...forAgent.flatMap((facts) => (facts === undefined ? [] : [judgeSocket(facts, 'agent')])),
  ];
}

interface TunnelTerms {
  readonly subject: Subject;
  /** Ms since the epoch: what the sidecar has on record from before is not about us. */
  readonly startedAt: number;
  readonly timeoutMs: number;
}

interface Tried {
  readonly check: 'peer-way' | 'common-way';
  readonly at: Place;
}

async function checkTunnels(
  peers: readonly PeerWay[],
  placesOf: (way: PeerWay) => readonly Tried[],
  { subject, startedAt, timeoutMs }: TunnelTerms,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const left = peers.flatMap((way) => placesOf(way).map((tried) => ({ ...tried, ...way, at: tried.at })));
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const answer = await askTunnel(next.at, `${next.meshName}:${TUNNEL_PORT}`, timeoutMs);
      const reason = answer.kind === 'closed' ? await reasonFor(next.peer, subject, startedAt) : undefined;
      findings.push(judgeTunnel(next, answer, reason));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return findings.toSorted((a, b) => (a.detail < b.detail ? -1 : 1));
}

/** Why the newest connection to the peer came to nothing, where the sidecar can be asked. */
async function reasonFor(peer: string, { sidecar, socket }: Subject, since: number): Promise<Reason | undefined> {
  if (sidecar?.ok !== true || socket === undefined) return undefined;
  const decisions = (await readAdmin(socket, '/decisions')) as readonly Decision[];
  const found = decisions.find(
    ({ at, subject, rejection }) => at >= since && isAgent(subject, peer) && rejection !== undefined,
  );
  return found?.rejection && { code: found.rejection.code, correlationId: found.correlationId };
}

async function checkCommonPort(subject: Subject, terms: Omit<TunnelTerms, 'subject'>): Promise<readonly Finding[]> {
  const { common, peers } = subject.ways;
  if (common === undefined) return [skip('common-way', 'the configuration has no `outbound.listen`')];
  const greeted = judgeHttp2(common, await greetHttp2(common, terms.timeoutMs));
  // Nobody there: that need not be said for each peer.
  if (greeted.verdict === 'fail') return [greeted];
  const places = () => [{ check: 'common-way', at: common }] as const;
  return [greeted, ...(await checkTunnels(peers, places, { subject, ...terms }))];
}

async function checkOtherWays({ ways: { inference, app } }: Subject, timeoutMs: number): Promise<readonly Finding[]> {
  return [
    inference === undefined
      ? skip('inference-way', 'no inference port is configured')
      : judgeModels(inference, await askModels(inference, timeoutMs)),
    ...(app === undefined
      ? [skip('app-listens', 'this agent takes no calls')]
      : [
          judgeApp(app.address, await tryConnect(app.address, timeoutMs)),
          judgeAround(await findWaysAround(app.address), app.allowReachable),
        ]),
  ];
}

async function checkNames({ ways, sidecar }: Subject): Promise<readonly Finding[]> {
  const hosts: (readonly [what: string, address: string])[] = [];
  if (sidecar?.ok === true) {
    hosts.push(['the authority', sidecar.view.authority.address]);
    for (const { agent, address } of sidecar.config.peers) if (address !== undefined) hosts.push([agent, address]);
  }
  return Promise.all([
    ...ways.peers.map(async ({ meshName }) => judgeMeshName(meshName, await lookUp(meshName))),
    ...hosts.map(async ([what, address]) => judgeHost(what, address, await lookUp(portOf(address)?.host ?? address))),
  ]);
}
