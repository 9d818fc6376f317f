const ADDRESS = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}$/;

/** `host:port` with a port from 1 to 65535; IPv6 in brackets. Something to dial, so never port 0. */
export function isHostPort(text: unknown): text is string {
  if (typeof text !== 'string' || !ADDRESS.test(text)) return false;
  const port = Number(text.slice(text.lastIndexOf(':') + 1));
  return port >= 1 && port <= 65_535;
}
