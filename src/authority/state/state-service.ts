import type { ServerWritableStream } from '@grpc/grpc-js';
import { isSpiffeId, kindOf, type SpiffeId } from '../../domain/agent-id.ts';
import { after } from '../../platform/clock.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Logger } from '../../platform/logger.ts';
import type { StateServiceHandlers } from '../../wire/generated/ait/v1/StateService.ts';
import type { WatchRequest__Output } from '../../wire/generated/ait/v1/WatchRequest.ts';
import type { WatchResponse } from '../../wire/generated/ait/v1/WatchResponse.ts';
import type { AuthorityMetrics } from '../authority-metrics.ts';
import type { Caller, Callers } from '../membership/callers.ts';
import type { Presence } from '../membership/presence.ts';
import { refusalStatus, type Refusal } from '../refusal.ts';
import type { Publication, StatePublisher } from './state-publisher.ts';
import type { WantedPeers } from './wanted-peers.ts';
import type { StateSigner } from '../keys/state-signer.ts';

export interface StateServiceOptions {
  readonly callers: Callers;
  readonly publisher: StatePublisher;
  readonly presence: Presence;
  readonly wanted: WantedPeers;
  readonly signer: StateSigner;
  /** The trust bundle now, in SPIFFE bundle format. */
  readonly bundleJson: () => string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: AuthorityMetrics;
  /** Calls back whenever the policy changed, until it is told to stop. */
  readonly onPolicyChange: (listener: () => void) => () => void;
}

/** As many peers as a sidecar's configuration may name. */
const MAX_WANTED = 1000;

type WatchCall = ServerWritableStream<WatchRequest__Output, WatchResponse>;

export function createStateService(options: StateServiceOptions): StateServiceHandlers {
  return {
    Watch: (call) => {
      const caller = options.callers.authenticate(call);
      if (caller.ok) new WatchStream(call, caller.value, options).open();
      else call.emit('error', refusalStatus(caller));
    },
  };
}

/**
 * One open Watch: first the whole state, then what is new since the last message that went out. A watcher that reads
 * slowly costs one reference: the newest publication replaces the one that waits. Ends when the certificate does, and
 * at once when the caller is revoked.
 */
class WatchStream {
  readonly #call: WatchCall;
  readonly #caller: Caller;
  readonly #options: StateServiceOptions;
  /** What the receiver holds: the objects of the last head that it was sent. */
  #sent = new Set<string>();
  /** The state key under which it holds them, and the bundle it was sent. */
  #sentUnder = '';
  #sentBundle = '';
  #waiting: Publication | undefined;
  #blocked = false;
  #open = true;
  #release: (() => void)[] = [];
  #cancelExpiry: (() => void) | undefined;

  constructor(call: WatchCall, caller: Caller, options: StateServiceOptions) {
    this.#call = call;
    this.#caller = caller;
    this.#options = options;
  }

  open(): void {
    const { publisher, presence, wanted, logger, onPolicyChange } = this.#options;
    const { agent, instance } = this.#caller;
    logger.debug('watch_opened', { agent, instance });
    this.#call.on('cancelled', () => this.#close());
    this.#call.on('close', () => this.#close());
    this.#call.on('error', () => this.#close());
    this.#call.on('drain', () => this.#unblock());
    this.#release = [
      onPolicyChange(() => this.#recheck()),
      presence.watching(instance),
      wanted.add(agent, wantedBy(this.#call.request)),
      () => this.#cancelExpiry?.(),
    ];
    this.#armExpiry();
    this.#release.push(publisher.subscribe({ agent, publish: (publication) => this.#offer(publication) }));
  }

  #offer(publication: Publication): void {
    if (this.#waiting !== undefined) this.#options.metrics.updatesSkipped.add();
    this.#waiting = publication;
    this.#flush();
  }

  #unblock(): void {
    this.#blocked = false;
    this.#flush();
  }

  #flush(): void {
    const publication = this.#waiting;
    if (publication === undefined || this.#blocked || !this.#open) return;
    this.#waiting = undefined;
    const { head, signedHead } = publication;
    const { signer, bundleJson } = this.#options;
    // What a key signed that will leave the bundle is worth nothing to whoever keeps it: sent again under the new one.
    const held = this.#sentUnder === signer.keyId ? this.#sent : new Set<string>();
    const objects = head.objects.filter((digest) => !held.has(digest)).map((digest) => signer.signedObject(digest));
    this.#sent = new Set(head.objects);
    this.#sentUnder = signer.keyId;
    const bundle = bundleJson();
    const trustBundle = bundle === this.#sentBundle ? '' : bundle;
    this.#sentBundle = bundle;
    this.#blocked = !this.#call.write({ head: signedHead, objects, trustBundle });
  }

  #recheck(): void {
    const objection = this.#options.callers.recheck(this.#caller);
    if (objection !== undefined) this.#end(objection);
  }

  /** The wall clock may be set, so it is looked at again and again. */
  #armExpiry(): void {
    const left = this.#caller.notAfter - this.#options.clock.now() + 1;
    this.#cancelExpiry = after({
      delayMs: Math.min(Math.max(left, 0), 60_000),
      keepAlive: false,
      run: () => {
        this.#recheck();
        if (this.#open) this.#armExpiry();
      },
    });
  }

  #end(why: Refusal): void {
    if (!this.#open) return;
    const { agent, instance } = this.#caller;
    this.#options.logger.warn('watch_ended', { agent, instance, code: why.code, detail: why.detail });
    this.#close();
    this.#call.emit('error', refusalStatus(why));
  }

  #close(): void {
    this.#open = false;
    this.#waiting = undefined;
    for (const release of this.#release.splice(0)) release();
  }
}

/** What is no agent's name, and what is beyond the limit, is left out: it could be observed by nobody. */
function wantedBy({ wantedPeers }: WatchRequest__Output): readonly SpiffeId[] {
  return wantedPeers.slice(0, MAX_WANTED).filter((id) => isSpiffeId(id) && kindOf(id) === 'agent') as SpiffeId[];
}
