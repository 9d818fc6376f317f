import { createHash } from 'node:crypto';
import { canonicalizeJson } from '../../domain/canonical/jcs.ts';
import type { PromptMessage } from './prompt.ts';

/** 64 words: six bits each. The list is part of what the answers are a function of; changing it changes them all. */
const WORDS = `
  able above after again agent always answer around before begin below between
  both bridge carry change city clear close count early earth every field
  follow forest garden green harbor house island journey letter light listen market
  measure model morning mountain never number ocean often open paper pattern people
  quiet reason river season second simple sound stone story summer table travel
  under water window winter
`
  .trim()
  .split(/\s+/);

/** What an answer is a function of. Everything else in a request decides only where it ends and how it is sent. */
export function seedOf(model: string, messages: readonly PromptMessage[]): Buffer {
  const canonical = canonicalizeJson({ model, messages: messages.map(({ role, text }) => ({ role, text })) });
  return createHash('sha256').update(canonical).digest();
}

/** The first `count` words of a seed: block n is SHA-256 of seed and n, each byte's low six bits choose a word. */
export function wordsOf(seed: Buffer, count: number): string[] {
  const words: string[] = [];
  const counter = Buffer.alloc(4);
  for (let block = 0; words.length < count; block += 1) {
    counter.writeUInt32BE(block);
    for (const byte of createHash('sha256').update(seed).update(counter).digest()) {
      if (words.length < count) words.push(WORDS[byte % WORDS.length] ?? '');
    }
  }
  return words;
}
