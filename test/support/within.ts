/**
 * What is awaited must come soon, so that a test that fails says what was missing instead of running out of time.
 *
 * @param what ends the sentence "not within … ms: ".
 */
export async function within<T>(awaited: Promise<T>, what: string, deadlineMs = 15_000): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms: ${what}`)), deadlineMs);
  });
  try {
    return await Promise.race([awaited, late]);
  } finally {
    clearTimeout(timer);
  }
}
