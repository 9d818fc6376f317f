import { createCertificates, type CertificateFiles } from '../certificates.ts';
import { findProgram } from '../children.ts';
import { BenchMesh } from '../mesh.ts';
import { haproxyHttp, nginxHttp, type PairInput, type ProxyPair } from '../proxies.ts';
import { Backend } from './backend.ts';
import { nodePair } from './node-pair.ts';
import { SidecarPairs } from './sidecar-pairs.ts';

export type ContenderId = 'shipped' | 'logged' | 'gate' | 'tunnel' | 'haproxy' | 'nginx' | 'grpc' | 'plain';

/** One way to get from the caller to the server. */
export interface Contender {
  readonly id: ContenderId;
  readonly name: string;
  /** Starts two fresh processes. */
  start(): Promise<ProxyPair>;
}

/** Everybody who is compared, one server behind all of them, and the folder in which they keep their files. */
export interface Field {
  readonly folder: string;
  readonly backend: Backend;
  readonly files: CertificateFiles;
  readonly sidecars: SidecarPairs;
  readonly contenders: readonly Contender[];
  stop(): Promise<void>;
}

/** @throws Error naming the Debian package of a program that is missing, before anything is started */
export async function openField(streamBytes: number): Promise<Field> {
  for (const [program, debianPackage] of [
    ['h2load', 'nghttp2-client'],
    ['nghttpd', 'nghttp2-server'],
    ['haproxy', 'haproxy'],
    ['nginx', 'nginx-light'],
    ['openssl', 'openssl'],
  ] as const)
    findProgram(program, debianPackage);
  const mesh = new BenchMesh();
  const { folder } = mesh;
  const backend = await Backend.start(folder, streamBytes);
  const sidecars = await SidecarPairs.start(mesh);
  const files = createCertificates(folder);
  const input: PairInput = { folder, files, backend: backend.port };
  const one = (id: ContenderId, name: string, start: (name: string) => Promise<ProxyPair>): Contender => ({
    id,
    name,
    start: () => start(name),
  });
  const contenders = [
    one('shipped', 'sidecars, as shipped', (name) => sidecars.pair({ name, backend: backend.port })),
    ...(sidecars.features.accessLog
      ? [
          one('logged', 'sidecars, access log on', (name) =>
            sidecars.pair({ name, backend: backend.port, accessLog: true }),
          ),
        ]
      : []),
    one('gate', 'bare gate', (name) => nodePair(name, 'gate', input)),
    one('tunnel', 'bare Node tunnel', (name) => nodePair(name, 'tunnel', input)),
    one('haproxy', 'HAProxy', (name) => haproxyHttp(input).then((pair) => ({ ...pair, name }))),
    one('nginx', 'nginx (grpc_pass)', (name) => nginxHttp(input).then((pair) => ({ ...pair, name }))),
    one('grpc', 'grpc-js proxy', (name) => nodePair(name, 'grpc', input)),
  ];
  const stop = async () => {
    await backend.stop();
    await sidecars.stop();
  };
  return { folder, backend, files, sidecars, contenders, stop };
}
