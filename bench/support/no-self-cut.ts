/** A whole sidecar whose own half of enforcement is off: `no-self-cut.ts <config>`. Its peers are on their own. */
import { dirname } from 'node:path';
import { loadConfig } from '../../src/platform/config-source.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { sidecarConfigSchema } from '../../src/sidecar/config.ts';
import { createSidecar } from '../../src/sidecar/sidecar.ts';

const file = process.argv[2] ?? '';
const config = loadConfig({ schema: sidecarConfigSchema, file, env: {} });
const logger = createLogger({ name: 'sidecar', level: config.log_level });
const sidecar = createSidecar({
  config,
  folder: dirname(file),
  logger,
  version: 'bench',
  enforcement: { selfCut: false },
});
await sidecar.start();
process.once('SIGTERM', () => void sidecar.stop());
