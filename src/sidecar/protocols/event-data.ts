const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * The data of server-sent events, as clients put it together (HTML, section 9.2.6): what other fields say matters to
 * nobody here. Several events in one piece are told apart, should whoever cut them have seen fewer ends.
 *
 * @returns `undefined` where it is not UTF-8, which clients would silently replace
 */
export function eventData(piece: Buffer): readonly string[] | undefined {
  let text: string;
  try {
    text = utf8.decode(piece);
  } catch {
    // Said by the return value.
    return undefined;
  }
  const all: string[] = [];
  let lines: string[] = [];
  for (const line of `${text.replace(/^\uFEFF/, '')}\n\n`.split(/\r\n|\r|\n/)) {
    if (line === '') {
      if (lines.length > 0) all.push(lines.join('\n'));
      lines = [];
    } else if (line === 'data') lines.push('');
    else if (line.startsWith('data:')) lines.push(line.slice(line.startsWith('data: ') ? 6 : 5));
  }
  return all;
}
