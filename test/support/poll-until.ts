/**
 * Asks again and again until the answer satisfies, for what announces itself by no event.
 *
 * @throws Error with the last answer when the deadline passes.
 */
export async function pollUntil<T>(
  ask: () => Promise<T> | T,
  satisfies: (answer: T) => boolean,
  { deadlineMs = 30_000, everyMs = 20 } = {},
): Promise<T> {
  const until = performance.now() + deadlineMs;
  for (;;) {
    const answer = await ask();
    if (satisfies(answer)) return answer;
    if (performance.now() > until)
      throw new Error(`not within ${deadlineMs} ms; the last answer was ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
