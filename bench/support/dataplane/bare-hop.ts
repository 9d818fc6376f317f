/**
 * One of two proxies that check each other's certificate, with the TLS settings of the mesh, and nothing else of a
 * sidecar: `tunnel` is the least that Node can do, `gate` is what a sidecar's data plane does, permitting everything.
 * Takes its `HopOptions` as JSON; ends with its standard input.
 */
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect, createServer as createTlsServer } from 'node:tls';
import { clientTlsOptions, createTlsContext, serverTlsOptions } from '../../../src/crypto/tls-context.ts';
import { GatedConnection } from '../../../src/dataplane/gate/gated-connection.ts';
import { permitAll } from './permit-all.ts';
import type { HopOptions } from './node-pair.ts';

const hop = JSON.parse(process.argv[2] ?? '') as HopOptions;
const [certPem, keyPem, root] = [hop.cert, hop.key, hop.root].map((file) => readFileSync(file, 'utf8'));
if (certPem === undefined || keyPem === undefined || root === undefined) throw new Error('files are missing');
const context = createTlsContext({ certPem, keyPem, caPems: [root] });
const onward = { host: '127.0.0.1', port: hop.to, noDelay: true, allowHalfOpen: true };
const alpn = ['h2'];
const gateOptions = permitAll(hop.role);

const server =
  hop.role === 'server'
    ? createTlsServer(
        { ...serverTlsOptions({ context, alpn, requestCert: true }), allowHalfOpen: true, noDelay: true },
        (client) => carry({ client, server: connect(onward) }),
      )
    : createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
        const tls = clientTlsOptions({ context, alpn, checkPeer: () => undefined });
        const peer = tlsConnect({ ...tls, socket: connect(onward) });
        peer.allowHalfOpen = true;
        carry({ client, server: peer });
      });
server.listen(hop.listen, '127.0.0.1');
process.stdin.on('end', () => process.exit()).resume();

interface Ends {
  readonly client: Duplex;
  readonly server: Duplex;
}

function carry(ends: Ends): void {
  if (hop.kind === 'gate') gate(ends);
  else pipe(ends);
}

function pipe({ client, server: callee }: Ends): void {
  for (const [from, to] of [
    [client, callee],
    [callee, client],
  ] as const) {
    from.on('error', () => to.destroy());
    from.pipe(to);
  }
}

/** The data plane of a sidecar, on its own: every call is seen, and none is refused. */
function gate({ client, server: callee }: Ends): void {
  const end = (stream: Duplex) => ({ stream, reset: () => void stream.destroy() });
  new GatedConnection({ client: end(client), server: end(callee) }, gateOptions);
}
