import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';

/**
 * Why a request to a listener on this machine is not from a program that was told of it. `page`: it comes with an
 * `Origin`, or from a page, so that a browser sends it for somebody whose pages it shows. `host`: it names a host that is
 * not ours, which is what a rebound DNS name would bring along. `undefined`: neither.
 *
 * @param hostName a name, besides `localhost` and IP addresses, by which the listener may be called.
 */
export function foreignRequest(headers: IncomingHttpHeaders, hostName?: string): 'page' | 'host' | undefined {
  const site = headers['sec-fetch-site'];
  if (headers.origin !== undefined || (site !== undefined && site !== 'none')) return 'page';
  const host = (headers.host ?? '').replace(/:[0-9]{1,5}$/, '').toLowerCase();
  const isAddress = isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0;
  return host === 'localhost' || isAddress || host === hostName?.toLowerCase() ? undefined : 'host';
}
