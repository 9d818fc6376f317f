import { fileURLToPath } from 'node:url';
import { createCertificates } from '../certificates.ts';
import { Child, findProgram, freePort, listening } from '../children.ts';
import type { ContenderId } from '../dataplane/contenders.ts';
import { nodePair } from '../dataplane/node-pair.ts';
import { SidecarPairs } from '../dataplane/sidecar-pairs.ts';
import { BenchMesh } from '../mesh.ts';
import { haproxyHttp1, nginxHttp1, type PairInput, type ProxyPair } from '../proxies.ts';

const SERVER = fileURLToPath(new URL('json-server.ts', import.meta.url));

/** Everybody who is compared, running, and one server behind all of them. */
export interface Http1Field {
  readonly folder: string;
  /** Where the server listens. */
  readonly backend: number;
  readonly running: ReadonlyMap<ContenderId, ProxyPair>;
  stop(): Promise<void>;
}

/** @throws Error naming the Debian package of a program that is missing, before anything is started */
export async function openHttp1Field(events: { readonly count: number; readonly paceMs: number }): Promise<Http1Field> {
  for (const [program, debianPackage] of [
    ['h2load', 'nghttp2-client'],
    ['haproxy', 'haproxy'],
    ['nginx', 'nginx-light'],
    ['openssl', 'openssl'],
  ] as const)
    findProgram(program, debianPackage);
  const mesh = new BenchMesh();
  const { folder } = mesh;
  const backend = await freePort();
  const options = [backend, events.count, events.paceMs].map(String);
  const server = new Child([process.execPath, '--import', 'tsx', SERVER, ...options], process.cwd());
  await listening(backend);
  const sidecars = await SidecarPairs.start(mesh);
  const input: PairInput = { folder, files: createCertificates(folder), backend };
  const running = new Map<ContenderId, ProxyPair>([
    ['shipped', await sidecars.pair({ name: 'sidecars, as shipped', backend })],
    ['logged', await sidecars.pair({ name: 'sidecars, access log on', backend, accessLog: true })],
    ['gate', await nodePair('bare data plane', 'http1', input)],
    ['plain', await nodePair('plain node:http', 'plain', input)],
    ['haproxy', await haproxyHttp1(input)],
    ['nginx', await nginxHttp1(input)],
  ]);
  const stop = async () => {
    await Promise.all([...running.values()].map((pair) => pair.stop()));
    await server.stop();
    await sidecars.stop();
  };
  return { folder, backend, running, stop };
}
