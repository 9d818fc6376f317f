const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Resolves with the first signal that asks the process to stop. A second one ends it at once, as a person would expect. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    const stop = (signal: NodeJS.Signals) => {
      for (const name of SIGNALS) process.off(name, stop);
      resolve(signal);
    };
    for (const name of SIGNALS) process.on(name, stop);
  });
}
