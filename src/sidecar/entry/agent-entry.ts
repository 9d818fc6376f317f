import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { takeConnect } from '../../dataplane/connect-request.ts';
import { recognise, type Protocol } from '../../dataplane/first-words.ts';
import { lastAnswer } from '../../dataplane/http1/problem-answer.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import type { RandomSource } from '../../platform/random.ts';
import type { CallSettings } from '../calls/calls-section.ts';
import { meshNames, peerOfAuthority } from '../calls/mesh-names.ts';
import type { DecisionLog } from '../decision-log.ts';
import { sayLastWords } from './last-words.ts';

export interface AgentEntryDeps {
  readonly random: RandomSource;
  readonly decisions: DecisionLog;
  readonly settings: Pick<CallSettings, 'maxHeaderBytes'>;
}

/** One connection of our agent, of which nothing has been read. */
export interface Entering {
  readonly agent: Socket;
  /** Whom it may lead to. */
  readonly peers: Iterable<SpiffeId>;
  /** Where the agent connected to, for the log. */
  readonly at: string;
}

export interface PlacedEntering extends Omit<Entering, 'peers'> {
  /** What the peer says, unread. */
  readonly server: Duplex;
  /** The one it leads to. */
  readonly peer: SpiffeId;
  /** Whether a CONNECT has brought it here: another one is refused. */
  readonly isTunnel: boolean;
  /** As of {@link recognise}. */
  readonly unclearMs?: number;
}

/** As long as a gate lets a client begin, ms. */
const BEGIN_MS = 10_000;
const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';

export const TLS_REFUSED = rejection('TLS_FROM_AGENT', 'the agent began a TLS handshake with its own sidecar');
const NESTED = rejection('HTTP1_MALFORMED', 'CONNECT: inside of a tunnel');

/** What our agent says first on a connection, as far as it is for this sidecar and not for the peer. */
export class AgentEntry {
  readonly #deps: AgentEntryDeps;

  constructor(deps: AgentEntryDeps) {
    this.#deps = deps;
  }

  /**
   * Takes a CONNECT off a connection that begins with one, and does not answer it.
   *
   * @returns whom it leads to; `undefined`: it leads nowhere, and the agent has been told
   */
  async target({ agent, peers, at }: Entering): Promise<SpiffeId | undefined> {
    const limits = { maxBytes: this.#deps.settings.maxHeaderBytes, withinMs: BEGIN_MS };
    const connect = await takeConnect(agent, limits);
    if ('gone' in connect) {
      agent.destroy();
      return undefined;
    }
    const named = connect.ok ? judge(connect, [...peers]) : connect.rejection;
    if (typeof named === 'string') return named;
    this.refuse({ agent, at, cause: named });
    return undefined;
  }

  /** The tunnel is there: what the agent says from now on is for the peer. */
  establish(agent: Socket): void {
    agent.write(ESTABLISHED);
  }

  /**
   * What is spoken on a connection that leads to a peer already, once a CONNECT to that very peer has been answered.
   *
   * @returns `refused`: it goes no further, and the agent is being told
   */
  async meet(entering: PlacedEntering): Promise<Protocol | 'refused'> {
    const { agent, server, peer, at, unclearMs } = entering;
    const patience = unclearMs === undefined ? {} : { unclearMs };
    let { isTunnel } = entering;
    for (;;) {
      const protocol = await recognise(agent, { server, clientDecides: true, ...patience });
      if (protocol === 'tls' || (protocol === 'connect' && isTunnel)) {
        this.refuse({ agent, peer, at, cause: protocol === 'tls' ? TLS_REFUSED : NESTED });
        return 'refused';
      }
      if (protocol !== 'connect') return protocol;
      if ((await this.target({ agent, peers: [peer], at })) === undefined) return 'refused';
      this.establish(agent);
      isTunnel = true;
    }
  }

  /** Tells the agent, in words that it can read, why its connection goes no further, and writes it down. */
  refuse({ agent, peer, at, cause, correlationId = '' }: Refused): void {
    const id = correlationId === '' ? this.#deps.random.bytes(9).toString('base64url') : correlationId;
    const facts = { correlationId: id, subject: peer ?? '', direction: 'outbound', remoteAddress: at } as const;
    this.#deps.decisions.refused({ ...facts, cause });
    sayLastWords(agent, lastAnswer({ rejection: cause, correlationId: id, audience: 'own agent' }));
  }
}

export interface Refused {
  readonly agent: Socket;
  /** Whom the connection was for, as far as it is known. */
  readonly peer?: SpiffeId;
  readonly at: string;
  readonly cause: Rejection;
  /** Under which it is on record elsewhere. Default: a new one. */
  readonly correlationId?: string;
}

/** `Host` may be missing, as with clients of HTTP/1.0; it must not name another peer. */
function judge(
  { authority, host }: { readonly authority: string; readonly host: string | undefined },
  peers: readonly SpiffeId[],
): SpiffeId | Rejection {
  const peer = peerOfAuthority(authority, peers);
  if (peer === undefined) {
    const detail = `CONNECT ${authority}: no peer that this port leads to`;
    return rejection('PROXY_TARGET_UNKNOWN', detail, { known: meshNames(peers) });
  }
  if (host !== undefined && peerOfAuthority(host, peers) !== peer) {
    return rejection('HTTP1_MALFORMED', `CONNECT ${authority}: Host is ${JSON.stringify(host)}`);
  }
  return peer;
}
