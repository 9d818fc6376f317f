/** Sorted by several numbers, the first of which that differs decides; the smallest comes first. Equals stay as they are. */
export function byRank<T>(items: readonly T[], rank: (item: T) => readonly number[]): readonly T[] {
  return items
    .map((item) => ({ item, rank: rank(item) }))
    .toSorted((a, b) => compare(a.rank, b.rank))
    .map(({ item }) => item);
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
