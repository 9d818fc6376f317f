import type { Clock } from '../../platform/clock.ts';

/** Ask a process to stop. */
const STOP = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const;
/** Mean what the agent makes of them. */
const PLAIN = ['SIGUSR1', 'SIGUSR2', 'SIGWINCH'] as const;
const JOB = ['SIGTSTP', 'SIGCONT'] as const;

/** What a terminal sends to everybody in the foreground. */
const FROM_TERMINAL: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGWINCH']);

/** A second SIGINT after this long is no impatience: in a dialogue, Ctrl-C is how a line is given up. In ms. */
const IMPATIENT_MS = 5_000;

/** Who gets the signals. */
export interface SignalTarget {
  signal(signal: NodeJS.Signals): void;
  signalGroup(signal: NodeJS.Signals): void;
}

export interface SignalRelayOptions {
  readonly clock: Clock;
  /** The first signal that asks us to stop while there is no agent. */
  readonly onStop: (signal: NodeJS.Signals) => void;
  /** Another one: at once, by force. */
  readonly onForce: (signal: NodeJS.Signals) => void;
}

/** Takes all signals of this process from now on, and hands them to the agent while there is one: each once. */
export class SignalRelay {
  readonly #options: SignalRelayOptions;
  readonly #handlers = new Map<NodeJS.Signals, () => void>();
  #target: SignalTarget | undefined;
  #lastStop: { readonly signal: NodeJS.Signals; readonly at: number } | undefined;

  constructor(options: SignalRelayOptions) {
    this.#options = options;
    for (const signal of STOP) this.#handle(signal, () => this.#stop(signal));
    for (const signal of PLAIN) this.#handle(signal, () => this.#pass(signal));
    const [suspend, resume] = JOB;
    this.#handle(suspend, () => {
      this.#target?.signalGroup('SIGSTOP');
      process.kill(process.pid, 'SIGSTOP');
    });
    this.#handle(resume, () => this.#target?.signalGroup('SIGCONT'));
  }

  /** From now on this one gets the signals; `undefined`: nobody does, and we are being asked ourselves. */
  set target(target: SignalTarget | undefined) {
    this.#target = target;
  }

  /** Signals do again what they do by default. */
  release(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }

  #handle(signal: NodeJS.Signals, handler: () => void): void {
    this.#handlers.set(signal, handler);
    process.on(signal, handler);
  }

  #stop(signal: NodeJS.Signals): void {
    const { clock, onStop, onForce } = this.#options;
    const last = this.#lastStop;
    const at = clock.monotonic();
    const waited = signal === 'SIGINT' && last?.signal === 'SIGINT' && at - last.at > IMPATIENT_MS;
    this.#lastStop = { signal, at };
    if (last !== undefined && !(waited && this.#target !== undefined)) onForce(signal);
    else if (this.#target === undefined) onStop(signal);
    else this.#pass(signal);
  }

  #pass(signal: NodeJS.Signals): void {
    if (FROM_TERMINAL.has(signal)) this.#target?.signalGroup(signal);
    else this.#target?.signal(signal);
  }
}
