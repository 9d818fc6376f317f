import type { Logger } from './logger.ts';

/**
 * Keeps a defect in the handling of one connection from ending the process, and with it every other connection: it is
 * logged as what it is, and only that connection is given up. Fails closed.
 *
 * @param giveUp ends the connection
 */
export function contain(work: Promise<unknown>, { logger, what, giveUp }: ContainOptions): void {
  work.catch((error: unknown) => {
    logger.error('defect', { what, error, action: 'please report it; only this connection was ended' });
    giveUp();
  });
}

export interface ContainOptions {
  readonly logger: Logger;
  /** What was being done, for the log. */
  readonly what: string;
  readonly giveUp: () => void;
}
