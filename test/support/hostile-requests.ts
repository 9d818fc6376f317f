import { readFileSync } from 'node:fs';

/** One malformed request, and what must become of it. */
export interface HostileRequest {
  readonly name: string;
  /** Latin-1; a piece may be repeated. */
  readonly request: readonly (string | { readonly repeat: string; readonly times: number })[];
  /** What the caller is answered. */
  readonly status: number;
  /** How much of it the callee may see: at most its head and part of its body, or all. Default: nothing. */
  readonly reaches?: 'head' | 'whole';
}

export const HOSTILE_REQUESTS = JSON.parse(
  readFileSync(new URL('../vectors/http1/hostile-requests.json', import.meta.url), 'utf8'),
) as readonly HostileRequest[];

export const bytesOf = ({ request }: HostileRequest): Buffer =>
  Buffer.from(
    request.map((piece) => (typeof piece === 'string' ? piece : piece.repeat.repeat(piece.times))).join(''),
    'latin1',
  );
