/**
 * One of two proxies that check each other's certificate, with the TLS settings of the mesh, and nothing else of a
 * sidecar than its data plane for HTTP/1.1, permitting everything. Takes its `HopOptions` as JSON; ends with its standard
 * input.
 */
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect, createServer as createTlsServer } from 'node:tls';
import { clientTlsOptions, createTlsContext, serverTlsOptions } from '../../../src/crypto/tls-context.ts';
import { Channel } from '../../../src/dataplane/http1/channel.ts';
import { ChannelPool } from '../../../src/dataplane/http1/channel-pool.ts';
import { Http1Server } from '../../../src/dataplane/http1/http1-server.ts';
import type { Found } from '../../../src/dataplane/http1/terms.ts';
import type { HopOptions } from '../dataplane/node-pair.ts';
import { permitAll } from '../dataplane/permit-all.ts';

const hop = JSON.parse(process.argv[2] ?? '') as HopOptions;
const [certPem, keyPem, root] = [hop.cert, hop.key, hop.root].map((file) => readFileSync(file, 'utf8'));
if (certPem === undefined || keyPem === undefined || root === undefined) throw new Error('files are missing');
const context = createTlsContext({ certPem, keyPem, caPems: [root] });
const alpn = ['ait-data/1'];
const { policy, identity, calleeGone, limits, clock, newTraceparent, newCorrelationId } = permitAll(hop.role);
const maxHeaderBytes = limits.maxHeaderListBytes;
const idle = new ChannelPool(() => true);
const server = new Http1Server();

const listener =
  hop.role === 'server'
    ? createTlsServer(
        { ...serverTlsOptions({ context, alpn, requestCert: true }), allowHalfOpen: true, noDelay: true },
        serve,
      )
    : createServer({ allowHalfOpen: true, noDelay: true }, serve);
listener.listen(hop.listen, '127.0.0.1');
process.stdin.on('end', () => process.exit()).resume();

function serve(stream: Duplex): void {
  stream.on('error', () => undefined);
  server.serve(endOf(stream), {
    audience: hop.role === 'client' ? 'own agent' : 'peer',
    limits: { maxHeaderBytes, stallMs: limits.stallMs },
    clock,
    newTraceparent,
    newCorrelationId,
    find: (_request, { fresh }) => {
      const channel = fresh ? undefined : idle.take();
      return channel === undefined ? dial() : found(channel);
    },
    refused: ({ rejection }) => console.error(rejection),
  });
}

function found(channel: Channel): Found {
  return { ok: true, destination: { policy, identity, calleeGone, channel } };
}

function dial(): Promise<Found> {
  return new Promise((resolve) => {
    const raw = connect({ host: '127.0.0.1', port: hop.to, noDelay: true, allowHalfOpen: true });
    const opened = (stream: Duplex) => {
      const onIdle = (channel: Channel) => idle.put(channel);
      const end = endOf(stream);
      resolve(found(new Channel({ end, fromSidecar: hop.role === 'client', maxHeaderBytes, clock, onIdle })));
    };
    const failed = () => resolve({ ok: false, rejection: calleeGone(), correlationId: '' });
    raw.once('error', failed);
    if (hop.role === 'server') raw.once('connect', () => opened(raw));
    else {
      const peer = tlsConnect({ ...clientTlsOptions({ context, alpn, checkPeer: () => undefined }), socket: raw });
      peer.allowHalfOpen = true;
      peer.once('error', failed).once('secureConnect', () => opened(peer));
    }
  });
}

function endOf(stream: Duplex) {
  return { stream, reset: () => void stream.destroy() };
}
