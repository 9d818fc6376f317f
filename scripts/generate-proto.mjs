/**
 * Generates `src/wire/generated` from `proto/ait/v1/*.proto`: TypeScript types for grpc-js, and `descriptor.json`, which
 * is loaded at run time so that neither a `.proto` file nor a parser ships with the binary.
 *
 * `--check` generates into a temporary folder instead and exits 1 naming every file that differs from the committed one.
 * `--proto-root DIR` and `--out DIR` (defaults `proto`, `src/wire/generated`) serve experiments.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  mkdirSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { values } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    'proto-root': { type: 'string', default: 'proto' },
    out: { type: 'string', default: 'src/wire/generated' },
  },
});
const protoRoot = resolve(root, values['proto-root']);
const target = resolve(root, values.out);

// The parser that proto-loader itself uses, so that both see the same language.
const require = createRequire(createRequire(import.meta.url).resolve('@grpc/proto-loader'));
const protobuf = require('protobufjs');
const generator = join(
  dirname(require.resolve('@grpc/proto-loader/package.json')),
  'build/bin/proto-loader-gen-types.js',
);

/** The names of all files below a folder, relative to it, sorted. */
function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();
}

/** Sorts the keys of objects, not of arrays: key order in the descriptor must not depend on the order of reading. */
function sortKeys(value) {
  if (Array.isArray(value) || value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sortKeys(value[key])]),
  );
}

/** Keys whose order is meaning in protobufjs JSON: fields and enum values keep the order of the `.proto`. */
function stable(value) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key === 'nested' || key === 'methods') {
        const sorted = Object.keys(inner).sort();
        return [key, Object.fromEntries(sorted.map((name) => [name, stable(inner[name])]))];
      }
      return [key, key === 'options' ? sortKeys(inner) : stable(inner)];
    }),
  );
}

/** Makes a generated file independent of this machine and clean under strict compiler options. */
function tidy(path) {
  const source = readFileSync(path, 'utf8');
  let tidied = source.replace(`// Original file: ${protoRoot}/`, '// Original file: proto/');
  // A proto without a service gets a `grpc` import and a helper type that nothing uses.
  if (!/\bSubtypeConstructor<typeof/.test(tidied)) {
    tidied = tidied
      .replace(/^type SubtypeConstructor<[^]*?^\};\n\n/m, '')
      .replace(/^import type \* as grpc from '@grpc\/grpc-js';\n(?=[^]*export interface ProtoGrpcType)/, '')
      .replace(/\n{3,}/g, '\n\n');
  }
  for (const name of ['EnumTypeDefinition', 'MessageTypeDefinition']) {
    if (tidied.split(name).length !== 2) continue;
    tidied = tidied
      .replace(`import type { ${name} } from '@grpc/proto-loader';\n`, '')
      .replace(/^import type \{ (.*) \} from '@grpc\/proto-loader';$/m, (_line, names) => {
        const used = names.split(', ').filter((each) => each !== name);
        return `import type { ${used.join(', ')} } from '@grpc/proto-loader';`;
      });
  }
  if (tidied !== source) writeFileSync(path, tidied);
}

function generate(outDir) {
  const protos = filesBelow(protoRoot)
    .filter((name) => name.endsWith('.proto'))
    .map((name) => join(protoRoot, name));
  if (protos.length === 0) throw new Error(`no .proto file below ${relative(root, protoRoot)}`);
  mkdirSync(outDir, { recursive: true });
  execFileSync(
    process.execPath,
    [
      generator,
      '--longs=Number',
      '--enums=String',
      '--defaults',
      '--oneofs',
      '--grpcLib=@grpc/grpc-js',
      '--includeComments',
      '--importFileExtension=.ts',
      `--includeDirs=${protoRoot}`,
      `--outDir=${outDir}`,
      ...protos,
    ],
    { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] },
  );
  for (const name of filesBelow(outDir).filter((file) => file.endsWith('.ts'))) tidy(join(outDir, name));
  const schema = new protobuf.Root();
  schema.resolvePath = (origin, name) => {
    const local = join(protoRoot, name);
    return existsSync(local) ? local : protobuf.util.path.resolve(origin, name);
  };
  schema.loadSync(protos.map((path) => relative(protoRoot, path))).resolveAll();
  writeFileSync(join(outDir, 'descriptor.json'), `${JSON.stringify(stable(schema.toJSON()), null, 1)}\n`);
}

if (values.check) {
  const scratch = mkdtempSync(join(tmpdir(), 'generate-proto-'));
  try {
    generate(scratch);
    const names = [...new Set([...filesBelow(scratch), ...filesBelow(target)])].sort();
    const stale = names.filter((name) => {
      const [fresh, committed] = [join(scratch, name), join(target, name)];
      return !existsSync(fresh) || !existsSync(committed) || !readFileSync(fresh).equals(readFileSync(committed));
    });
    for (const name of stale) console.error(`generate-proto: ${relative(root, join(target, name))} is out of date`);
    if (stale.length > 0) console.error('generate-proto: run `npm run proto:generate` and commit the result');
    process.exitCode = stale.length > 0 ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
} else {
  rmSync(target, { recursive: true, force: true });
  generate(target);
  console.error(`generate-proto: ${filesBelow(target).length} files in ${relative(root, target)}`);
}
