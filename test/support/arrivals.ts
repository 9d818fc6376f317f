import { within } from './within.ts';

/** What arrives at a server in the test's own process, handed out one by one, in order: the test goes on from there. */
export class Arrivals<T> {
  readonly #what: string;
  readonly #here: T[] = [];
  readonly #waiting: ((arrival: T) => void)[] = [];

  /** @param what arrives here, for the message of a test that waits in vain. */
  constructor(what: string) {
    this.#what = what;
  }

  add(arrival: T): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#here.push(arrival);
    else waiting(arrival);
  }

  /** The next one, at once or as soon as it arrives. @throws Error when none does in time */
  take(): Promise<T> {
    const [first] = this.#here.splice(0, 1);
    if (first !== undefined) return Promise.resolve(first);
    const arrived = new Promise<T>((resolve) => {
      this.#waiting.push(resolve);
    });
    return within(arrived, this.#what);
  }
}
