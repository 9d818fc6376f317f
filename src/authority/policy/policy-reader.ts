import type { TrustDomain } from '../../domain/agent-id.ts';
import { sha256OfText, type FileReading } from './file-changes.ts';
import { readPolicyFile } from './policy-objects.ts';

/**
 * Reads policy files, each only when its text is another than the last time: a revocation must not wait until a
 * thousand files that nobody touched have been parsed again. What did not change is the very same object as before.
 */
export class PolicyReader {
  readonly #trustDomain: TrustDomain;
  #known: ReadonlyMap<string, { readonly text: string; readonly read: FileReading }> = new Map();

  constructor(trustDomain: TrustDomain) {
    this.#trustDomain = trustDomain;
  }

  /** @param texts all files there are, by name; what is known of others is forgotten. */
  read(texts: ReadonlyMap<string, string>): readonly FileReading[] {
    const known = new Map(
      [...texts].map(([file, text]) => {
        const before = this.#known.get(file);
        const same = before?.text === text ? before : undefined;
        return [file, same ?? { text, read: this.#read(file, text) }];
      }),
    );
    this.#known = known;
    return [...known.values()].map(({ read }) => read);
  }

  #read(file: string, text: string): FileReading {
    return { file: readPolicyFile(file, text, this.#trustDomain), sha256: sha256OfText(text) };
  }
}
