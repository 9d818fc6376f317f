const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** How a process is asked to stop. */
export interface StopSignals {
  /** Resolves with the first signal that asks the process to stop: in good order. */
  readonly first: Promise<NodeJS.Signals>;
  /** Aborts with the second one: at once. A third one has the system end the process. */
  readonly second: AbortSignal;
}

/** Takes SIGTERM and SIGINT from now on. */
export function stopSignals(): StopSignals {
  const cut = new AbortController();
  const first = new Promise<NodeJS.Signals>((resolve) => {
    let seen = 0;
    const heard = (signal: NodeJS.Signals) => {
      seen += 1;
      resolve(signal);
      if (seen === 1) return;
      for (const name of SIGNALS) process.off(name, heard);
      cut.abort(new Error(`asked to stop a second time, by ${signal}`));
    };
    for (const name of SIGNALS) process.on(name, heard);
  });
  return { first, second: cut.signal };
}

/** Resolves with the first signal that asks the process to stop. A second one has the system end it at once. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      for (const name of SIGNALS) process.off(name, stop);
      resolve(signal);
    };
    for (const name of SIGNALS) process.on(name, stop);
  });
}
