/**
 * A sidecar with one half of its enforcement switched off, as a process of its own. No configuration of the real binary
 * can reach this switch; a test that looks at the other half alone has to.
 *
 * Usage: `node --import tsx test/support/half-sidecar.ts <config file> '{"selfCut":false}'`
 */
import { dirname, resolve } from 'node:path';
import { loadConfig } from '../../src/platform/config-source.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { sidecarConfigSchema } from '../../src/sidecar/config.ts';
import { createSidecar } from '../../src/sidecar/sidecar.ts';
import type { Enforcement } from './test-agent.ts';

const [path = '', enforcement = '{}'] = process.argv.slice(2);
const file = resolve(path);
const sidecar = createSidecar({
  config: loadConfig({ schema: sidecarConfigSchema, file, env: {} }),
  folder: dirname(file),
  logger: createLogger({ name: 'sidecar' }),
  version: 'test',
  enforcement: JSON.parse(enforcement) as Enforcement,
});
await sidecar.start();
await new Promise((signalled) => process.once('SIGTERM', signalled));
await sidecar.stop();
process.exit(0);
