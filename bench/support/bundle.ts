import { buildSync } from 'esbuild';
import { basename, join } from 'node:path';

/**
 * Makes one plain program of a TypeScript file and all it imports, as the product's own is made: nothing that reads
 * TypeScript, and nothing that it adds to the code, is in the process that is measured.
 *
 * @param folder gets the program.
 * @returns its path
 */
export function bundleProgram(file: string, folder: string): string {
  const bundle = join(folder, basename(file).replace(/\.ts$/, '.mjs'));
  buildSync({
    entryPoints: [file],
    outfile: bundle,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // CommonJS that is bundled asks for Node's own modules, and for the place where it is.
    banner: {
      js: [
        "import { createRequire as __createRequire } from 'node:module';",
        "import { dirname as __dirnameOf } from 'node:path';",
        "import { fileURLToPath as __fileURLToPath } from 'node:url';",
        'const require = __createRequire(import.meta.url);',
        'const __filename = __fileURLToPath(import.meta.url);',
        'const __dirname = __dirnameOf(__filename);',
      ].join('\n'),
    },
  });
  return bundle;
}
