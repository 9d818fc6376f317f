import type { CallOutcome } from '../../dataplane/gate/call.ts';
import type { RejectionCode } from '../../domain/rejection.ts';
import { endingOf, type PeerSeries } from './peer-series.ts';

interface PeerCallsOptions {
  readonly series: () => PeerSeries;
  readonly onCut: (reason: RejectionCode) => void;
}

/** The calls with one peer in one direction. */
export class PeerCalls {
  readonly #options: PeerCallsOptions;
  #series: PeerSeries | undefined;
  #underWay = 0;

  constructor(options: PeerCallsOptions) {
    this.#options = options;
  }

  /** A call goes on. */
  started(): void {
    this.#underWay += 1;
    this.#current().inFlight.add(1);
  }

  /** A call that went on has ended. */
  ended(method: string, outcome: CallOutcome): void {
    const series = this.#current();
    this.#underWay -= 1;
    series.inFlight.add(-1);
    series.duration.observe(outcome.durationMs / 1000);
    const { requestBytes, responseBytes, requestMessages, responseMessages } = outcome;
    if (requestBytes > 0) series.requestBytes.add(requestBytes);
    if (responseBytes > 0) series.responseBytes.add(responseBytes);
    if (requestMessages > 0) series.requestMessages.add(requestMessages);
    if (responseMessages > 0) series.responseMessages.add(responseMessages);
    series.ended(method, endingOf(outcome)).add(1);
    if (outcome.rejection !== undefined) this.#options.onCut(outcome.rejection.code);
  }

  /** A call that never went on. */
  refused(method: string, outcome: CallOutcome): void {
    this.#current().ended(method, endingOf(outcome)).add(1);
  }

  /** Looks its series up again with the next call; not while there are calls that have to end where they began. */
  release(): void {
    if (this.#underWay === 0) this.#series = undefined;
  }

  #current(): PeerSeries {
    return (this.#series ??= this.#options.series());
  }
}
