/** A set of environment variables, as the process was given them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The process's environment as it was at start, frozen. The one place that reads it: whatever depends on a variable
 * takes an `Environment`, so that configuration has one door and a test can pass its own.
 */
export const environment: Environment = Object.freeze({ ...process.env });
