import { readFile } from 'node:fs/promises';
import { MeshError } from '../../domain/mesh-error.ts';

/** The text of a baseline file, as the authority reads it. @throws MeshError `FILE_UNREADABLE` */
export async function readBaselineText(file: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    throw new MeshError('FILE_UNREADABLE', `the baseline ${file} cannot be read`, { cause });
  }
}
