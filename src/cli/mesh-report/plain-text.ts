/**
 * Text from elsewhere, made safe for a terminal: control characters (which could repaint it) and invisible ones (which
 * could hide something) are written out. A tab stays.
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cs}]/gu, (character) => {
    return character === '\t' ? character : `\\u{${character.codePointAt(0)?.toString(16) ?? ''}}`;
  });
}

/** Columns as wide as their widest cell, two spaces between them; cells are made {@link printable}. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows.map((row) => row.map(printable))];
  const widths = head.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The first of many, and how many there are besides. */
export function atMost(lines: readonly string[], count: number): readonly string[] {
  return lines.length <= count ? lines : [...lines.slice(0, count), `… and ${lines.length - count} more`];
}
