import { fileURLToPath } from 'node:url';
import { bundleProgram } from '../bundle.ts';
import { pair, type PairInput, type ProxyPair, type Side } from '../proxies.ts';

/** What a program of such a pair is told. */
export interface HopOptions extends Side {
  readonly kind: 'gate' | 'tunnel' | 'grpc' | 'http1' | 'plain';
  /** PEM files. */
  readonly cert: string;
  readonly key: string;
  readonly root: string;
}

const PROGRAMS = {
  gate: 'bare-hop.ts',
  tunnel: 'bare-hop.ts',
  grpc: 'grpc-hop.ts',
  http1: '../http1/http1-hop.ts',
  plain: '../http1/plain-hop.ts',
} as const satisfies Record<HopOptions['kind'], string>;

/** Two plain Node processes, without anything that reads TypeScript in them. */
export function nodePair(name: string, kind: HopOptions['kind'], input: PairInput): Promise<ProxyPair> {
  const program = PROGRAMS[kind];
  const bundle = bundleProgram(fileURLToPath(new URL(program, import.meta.url)), input.folder);
  const { cert, key, root } = input.files;
  return pair(name, input, (side) => {
    const options: HopOptions = { ...side, kind, cert, key, root };
    // grpc-js has no option for it, and would go down to 1.2.
    return [process.execPath, '--tls-min-v1.3', bundle, JSON.stringify(options)];
  });
}
