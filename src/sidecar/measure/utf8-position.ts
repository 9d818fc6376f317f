/** How long a sequence is that begins with this byte, and in which range its second byte lies (RFC 3629, section 4). */
function sequenceOf(lead: number): { length: number; low: number; high: number } | undefined {
  if (lead <= 0x7f) return { length: 1, low: 0, high: 0 };
  if (lead < 0xc2 || lead > 0xf4) return undefined;
  if (lead <= 0xdf) return { length: 2, low: 0x80, high: 0xbf };
  if (lead <= 0xef) return { length: 3, low: lead === 0xe0 ? 0xa0 : 0x80, high: lead === 0xed ? 0x9f : 0xbf };
  return { length: 4, low: lead === 0xf0 ? 0x90 : 0x80, high: lead === 0xf4 ? 0x8f : 0xbf };
}

/** Where bytes first cease to be UTF-8: the offset at which the broken sequence begins; -1 when they are valid. */
export function firstInvalidUtf8(bytes: Uint8Array): number {
  let at = 0;
  while (at < bytes.length) {
    const sequence = sequenceOf(bytes[at] ?? 0);
    if (sequence === undefined) return at;
    for (let step = 1; step < sequence.length; step += 1) {
      const byte = bytes[at + step] ?? 0;
      const [low, high] = step === 1 ? [sequence.low, sequence.high] : [0x80, 0xbf];
      if (byte < low || byte > high) return at;
    }
    at += sequence.length;
  }
  return -1;
}
