/**
 * Whether `NO_PROXY` excludes a host from the proxy, as nearly all clients read it: a list with commas; `*` is everything;
 * an entry is a host or the end of one, with or without a dot before it; a port counts where it is named.
 */
export function isExcluded(noProxy: string, host: string, port: number): boolean {
  const name = host.toLowerCase();
  return noProxy
    .toLowerCase()
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      const [, pattern = entry, onlyPort] = /^(.*[^:]):([0-9]{1,5})$/.exec(entry) ?? [];
      if (onlyPort !== undefined && Number(onlyPort) !== port) return false;
      const end = pattern.replace(/^\*?\./, '');
      return name === end || name.endsWith(`.${end}`);
    });
}
