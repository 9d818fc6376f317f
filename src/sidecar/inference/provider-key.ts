import { readFile, stat } from 'node:fs/promises';
import type { Component } from '../../platform/component.ts';
import { watchPaths } from '../../platform/file-watch.ts';
import type { Logger } from '../../platform/logger.ts';
import { KeyEcho } from './key-echo.ts';

/** What a key may look like: it goes into a header, and must be told apart from other text in answers. */
const KEY = /^[\x21-\x7e]{8,4096}$/;
const OTHERS = 0o077;

export interface ProviderKeyOptions {
  readonly path: string;
  readonly logger: Logger;
  /** Called after each change; `undefined`: there is a key. */
  readonly onChange: (problem: string | undefined) => void;
}

export interface KnownKey {
  readonly value: string;
  /** Knows it again in what the provider answers. */
  readonly echo: KeyEcho;
}

/** The provider's key, read again whenever its file changes. A file that cannot be read leaves no key behind. */
export class ProviderKey implements Component {
  readonly name = 'provider key';
  readonly #options: ProviderKeyOptions;
  #key: KnownKey | undefined;
  #unwatch: (() => void) | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(options: ProviderKeyOptions) {
    this.#options = options;
  }

  /** `undefined` while it cannot be read. */
  get current(): KnownKey | undefined {
    return this.#key;
  }

  async start(): Promise<void> {
    const { path, logger } = this.#options;
    // The watch stands before the file is read, so that no change falls between the two.
    this.#unwatch = watchPaths({
      paths: [path],
      logger,
      onChange: () => {
        this.#reading = this.#reading.then(() => this.#read());
      },
      onDegraded: (reason) => logger.warn('provider_key_not_watched', { reason, action: 'restart after a change' }),
    });
    await this.#read();
  }

  stop(): Promise<void> {
    this.#unwatch?.();
    this.#key = undefined;
    return Promise.resolve();
  }

  async #read(): Promise<void> {
    const { path, logger, onChange } = this.#options;
    const before = this.#key?.value;
    try {
      const text = (await readFile(path, 'utf8')).trim();
      if (!KEY.test(text)) throw new Error('it is not one line of 8 to 4096 printable characters without blanks');
      const { mode } = await stat(path);
      this.#key = { value: text, echo: new KeyEcho(text) };
      if (before === text) return;
      logger.info('provider_key_read', { path });
      if ((mode & OTHERS) !== 0) {
        const action = 'an agent that can read it needs no sidecar: chmod 0600, owned by the sidecar alone';
        logger.warn('provider_key_exposed', { path, mode: `0${(mode & 0o777).toString(8)}`, action });
      }
      onChange(undefined);
    } catch (error) {
      this.#key = undefined;
      const reason = error instanceof Error ? error.message : String(error);
      logger.warn('provider_key_unusable', { path, reason });
      onChange(`the provider's key cannot be read: ${reason}`);
    }
  }
}
