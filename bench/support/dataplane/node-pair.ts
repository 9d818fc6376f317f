import { buildSync } from 'esbuild';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pair, type PairInput, type ProxyPair, type Side } from '../proxies.ts';

/** What a program of such a pair is told. */
export interface HopOptions extends Side {
  readonly kind: 'gate' | 'tunnel' | 'grpc';
  /** PEM files. */
  readonly cert: string;
  readonly key: string;
  readonly root: string;
}

/** Two plain Node processes, without anything that reads TypeScript in them. */
export function nodePair(name: string, kind: HopOptions['kind'], input: PairInput): Promise<ProxyPair> {
  const program = kind === 'grpc' ? 'grpc-hop' : 'bare-hop';
  const bundle = join(input.folder, `${program}.mjs`);
  buildSync({
    entryPoints: [fileURLToPath(new URL(`${program}.ts`, import.meta.url))],
    outfile: bundle,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // CommonJS that is bundled asks for Node's own modules.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
  const { cert, key, root } = input.files;
  return pair(name, input, (side) => {
    const options: HopOptions = { ...side, kind, cert, key, root };
    // grpc-js has no option for it, and would go down to 1.2.
    return [process.execPath, '--tls-min-v1.3', bundle, JSON.stringify(options)];
  });
}
