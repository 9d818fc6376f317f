import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { fileProblem, MeasurementProblem } from './measurement-problem.ts';

/** Opening a FIFO must not wait for a writer, and opening a terminal must not adopt it. */
export const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY;

/**
 * Reads a whole regular file of at most `maxBytes`, following symbolic links. Synchronous on purpose: for small files
 * it takes some 30 µs, which a round trip through the thread pool would multiply, and less can change under it.
 *
 * The size is checked before reading and again while reading, so that neither a large file nor one that grows is read
 * beyond the bound.
 *
 * @throws MeasurementProblem `missing`, `unreadable`, `not_a_file`, `too_large`.
 */
export function readBounded(path: string, maxBytes: number): Buffer {
  let fd: number;
  try {
    fd = openSync(path, READ_FLAGS);
  } catch (error) {
    throw fileProblem(path, error);
  }
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new MeasurementProblem('not_a_file', `${path}: not a regular file`);
    if (stats.size > maxBytes) throw tooLarge(path, maxBytes);
    return readToEnd(fd, { path, maxBytes, expectedBytes: stats.size });
  } catch (error) {
    throw error instanceof MeasurementProblem ? error : fileProblem(path, error);
  } finally {
    closeSync(fd);
  }
}

/** The size a file states is a hint only: it may grow, and files of /proc state zero. */
function readToEnd(
  fd: number,
  { path, maxBytes, expectedBytes }: { path: string; maxBytes: number; expectedBytes: number },
): Buffer {
  let buffer = Buffer.allocUnsafe(expectedBytes + 1);
  let length = 0;
  for (;;) {
    const count = readSync(fd, buffer, length, buffer.length - length, null);
    if (count === 0) return buffer.subarray(0, length);
    length += count;
    if (length > maxBytes) throw tooLarge(path, maxBytes);
    if (length < buffer.length) continue;
    const larger = Buffer.allocUnsafe(Math.min(buffer.length * 2 + 4096, maxBytes + 1));
    buffer.copy(larger, 0, 0, length);
    buffer = larger;
  }
}

function tooLarge(path: string, maxBytes: number): MeasurementProblem {
  return new MeasurementProblem('too_large', `${path}: larger than ${maxBytes} bytes`);
}
