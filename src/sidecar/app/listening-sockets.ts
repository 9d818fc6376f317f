/** One socket that takes TCP connections, as the kernel lists it. */
export interface ListeningSocket {
  /** `10.0.0.7:8080` or `[::]:8080`. */
  readonly address: string;
  readonly port: number;
  /** Whether only processes in the same network namespace can reach it. */
  readonly loopback: boolean;
}

const LISTEN = '0A';
/** `  0: 0100007F:1F90 00000000:0000 0A …`: the local address, the remote one, the state. */
const ROW = /^ *\d+: ([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2})(?: |$)/;

/**
 * Reads `/proc/net/tcp` or `/proc/net/tcp6` (proc(5)): the sockets in state LISTEN. Any text will do; what is no row of
 * such a table is passed over, and nothing is thrown.
 *
 * @param littleEndian how the machine writes numbers, which is how the kernel prints an address.
 */
export function parseListeningSockets(text: string, { littleEndian }: { littleEndian: boolean }): ListeningSocket[] {
  const found: ListeningSocket[] = [];
  for (const line of text.split('\n')) {
    const [, hex, port, state] = ROW.exec(line) ?? [];
    if (hex === undefined || port === undefined || state !== LISTEN) continue;
    const bytes = addressBytes(hex, littleEndian);
    const number = Number.parseInt(port, 16);
    found.push({ address: `${format(bytes)}:${number}`, port: number, loopback: isLoopback(bytes) });
  }
  return found;
}

/** In network order, though the kernel prints each four bytes as a number of the machine's own. */
function addressBytes(hex: string, littleEndian: boolean): Buffer {
  const bytes = Buffer.from(hex, 'hex');
  return littleEndian ? bytes.swap32() : bytes;
}

const MAPPED_V4 = Buffer.from('00000000000000000000ffff', 'hex');
const LOOPBACK_V6 = Buffer.from('00000000000000000000000000000001', 'hex');

function isLoopback(bytes: Buffer): boolean {
  if (bytes.length === 4) return bytes[0] === 127;
  return bytes.equals(LOOPBACK_V6) || (isMapped(bytes) && bytes[12] === 127);
}

function isMapped(bytes: Buffer): boolean {
  return bytes.length === 16 && bytes.subarray(0, 12).equals(MAPPED_V4);
}

function format(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.');
  if (isMapped(bytes)) return `[::ffff:${bytes.subarray(12).join('.')}]`;
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  // The longest run of zeros, written as RFC 5952 has it.
  const text = groups.join(':');
  const runs = [...text.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)].map(([run]) => run);
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  return longest === '' ? `[${text}]` : `[${text.replace(longest, '::').replace(/:{3,}/, '::')}]`;
}
