import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/**
 * "Each has one home": what a source file of `src` may not touch, and where it may. The linter says most of this in the
 * editor; this test is the exact word: it also sees aliases, `globalThis`, destructuring, `require` and dynamic import.
 */
interface HouseRule {
  /** `package`: importing it in any form; `member`: touching `object.name`, `object.*` being any member. */
  readonly ban: { readonly packages: readonly string[] } | { readonly members: readonly string[] };
  readonly home: RegExp;
  readonly reason: string;
}

const RULES: readonly HouseRule[] = [
  {
    ban: {
      members: [
        'Date.now',
        'new Date()',
        'performance.now',
        'performance.timeOrigin',
        'process.hrtime',
        'process.uptime',
      ],
    },
    home: /^platform\/clock\.ts$/,
    reason: 'take a Clock: time is injected, so that tests own it',
  },
  {
    ban: {
      members: [
        'Math.random',
        ...['randomBytes', 'randomUUID', 'randomInt', 'randomFill', 'randomFillSync', 'getRandomValues'].map(
          (name) => `crypto.${name}`,
        ),
      ],
    },
    home: /^platform\/random\.ts$/,
    reason: 'take a RandomSource: randomness is injected, so that tests can replay it',
  },
  {
    ban: { members: ['process.env'] },
    home: /^platform\/environment\.ts$/,
    reason: 'take an Environment: configuration has one door',
  },
  {
    ban: { members: ['process.exit', 'process.abort', 'process.reallyExit'] },
    home: /^cli\/main\.ts$/,
    reason: 'throw or return: only main ends the process, after the components have stopped',
  },
  { ban: { packages: ['jose'] }, home: /^crypto\//, reason: 'tokens are signed and verified in src/crypto' },
  {
    ban: { packages: ['node-forge'] },
    home: /^crypto\//,
    reason: 'certificates are issued in src/crypto, and forge never verifies',
  },
  {
    ban: { packages: ['prom-client'] },
    home: /^platform\/metrics/,
    reason: 'metrics are bounded in src/platform/metrics*',
  },
  { ban: { packages: ['pino'] }, home: /^platform\/logger\.ts$/, reason: 'log through the Logger, which redacts' },
];

/** Modules whose exports are the members of a banned object. */
const MODULE_OBJECTS: Readonly<Record<string, string>> = {
  crypto: 'crypto',
  'node:crypto': 'crypto',
  process: 'process',
  'node:process': 'process',
  perf_hooks: 'perf_hooks',
  'node:perf_hooks': 'perf_hooks',
};

interface Use {
  readonly what: string;
  readonly node: ts.Node;
}

/** Everything in a file that a rule could be about: `package:<name>` for imports, `object.member` for the rest. */
function usesIn(file: ts.SourceFile): Use[] {
  const uses: Use[] = [];
  const aliases = new Map<string, string>();
  /** The object an expression stands for: `Date` for `Date`, `globalThis.Date` and `import { … } as`; else undefined. */
  const objectName = (node: ts.Expression): string | undefined => {
    if (ts.isParenthesizedExpression(node) || ts.isNonNullExpression(node)) return objectName(node.expression);
    if (ts.isIdentifier(node)) return aliases.get(node.text) ?? node.text;
    if (ts.isPropertyAccessExpression(node)) {
      const owner = objectName(node.expression);
      if (owner === 'globalThis' || owner === 'global' || owner === 'perf_hooks') return node.name.text;
      if (owner === 'crypto' && node.name.text === 'webcrypto') return 'crypto';
    }
    return undefined;
  };
  const importedModule = (node: ts.Node, module: string): void => {
    uses.push({
      what: `package:${module
        .split('/')
        .slice(0, module.startsWith('@') ? 2 : 1)
        .join('/')}`,
      node,
    });
  };

  const visitImport = (node: ts.ImportDeclaration, module: string): void => {
    importedModule(node, module);
    const object = MODULE_OBJECTS[module];
    const clause = node.importClause;
    if (object === undefined || clause === undefined) return;
    if (clause.name !== undefined) aliases.set(clause.name.text, object);
    const bindings = clause.namedBindings;
    if (bindings === undefined) return;
    if (ts.isNamespaceImport(bindings)) aliases.set(bindings.name.text, object);
    else {
      for (const element of bindings.elements) {
        const name = (element.propertyName ?? element.name).text;
        uses.push({ what: `${object}.${name}`, node: element });
        if (name === 'webcrypto') aliases.set(element.name.text, 'crypto');
        if (name === 'performance') aliases.set(element.name.text, 'performance');
      }
    }
  };

  const visitBinding = (node: ts.VariableDeclaration): void => {
    const object = node.initializer === undefined ? undefined : objectName(node.initializer);
    if (object === undefined) return;
    if (ts.isIdentifier(node.name)) aliases.set(node.name.text, object);
    if (!ts.isObjectBindingPattern(node.name)) return;
    for (const element of node.name.elements) {
      const name = element.propertyName ?? element.name;
      if (ts.isIdentifier(name)) uses.push({ what: `${object}.${name.text}`, node: element });
    }
  };

  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      visitImport(node, node.moduleSpecifier.text);
    } else if (
      ts.isExportDeclaration(node) &&
      node.moduleSpecifier !== undefined &&
      ts.isStringLiteral(node.moduleSpecifier)
    ) {
      importedModule(node, node.moduleSpecifier.text);
    } else if (
      ts.isImportTypeNode(node) &&
      ts.isLiteralTypeNode(node.argument) &&
      ts.isStringLiteral(node.argument.literal)
    ) {
      importedModule(node, node.argument.literal.text);
    } else if (ts.isCallExpression(node)) {
      const [first] = node.arguments;
      const loads =
        node.expression.kind === ts.SyntaxKind.ImportKeyword || /require$/i.test(node.expression.getText(file));
      if (loads && first !== undefined && ts.isStringLiteralLike(first)) importedModule(node, first.text);
      if (objectName(node.expression) === 'Date') uses.push({ what: 'new Date()', node });
    } else if (ts.isNewExpression(node)) {
      if (objectName(node.expression) === 'Date' && (node.arguments?.length ?? 0) === 0)
        uses.push({ what: 'new Date()', node });
    } else if (ts.isPropertyAccessExpression(node)) {
      const object = objectName(node.expression);
      if (object !== undefined) uses.push({ what: `${object}.${node.name.text}`, node });
    } else if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
      const object = objectName(node.expression);
      if (object !== undefined) uses.push({ what: `${object}.${node.argumentExpression.text}`, node });
    } else if (ts.isVariableDeclaration(node)) visitBinding(node);
    ts.forEachChild(node, visit);
  };
  visit(file);
  return uses;
}

/** The violations of one file, as `src/path.ts:line: what: reason`; `path` is relative to src, with `/`. */
function violations(path: string, text: string): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  return usesIn(file).flatMap(({ what, node }) => {
    const broken = RULES.filter(({ ban, home }) => {
      const banned = 'packages' in ban ? ban.packages.map((name) => `package:${name}`) : ban.members;
      return banned.includes(what) && !home.test(path);
    });
    const line = file.getLineAndCharacterOfPosition(node.getStart(file)).line + 1;
    return broken.map((rule) => `src/${path}:${line}: ${what.replace('package:', 'import of ')}: ${rule.reason}`);
  });
}

const src = join(fileURLToPath(new URL('.', import.meta.url)), '../../src');

test('each banned thing of src is used in its one home only', () => {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) => /\.[cm]?tsx?$/.test(name));
  assert.ok(files.length > 5, 'no sources found: the scan looked in the wrong place');
  const found = files.flatMap((name) =>
    violations(relative('.', name).split(sep).join('/'), readFileSync(join(src, name), 'utf8')),
  );
  assert.deepEqual(found, [], `\n${found.join('\n')}\n`);
});

const offences: readonly [snippet: string, count: number][] = [
  ['export const a = Date.now();', 1],
  ['export const a = new Date();', 1],
  ['export const a = Date();', 1],
  ['export const a = new globalThis.Date();', 1],
  ['const clock = Date; export const a = clock.now();', 1],
  ["export const a = Date['now']();", 1],
  ['export const a = performance.now();', 1],
  ["import { performance as p } from 'node:perf_hooks'; export const a = p.now();", 1],
  ['export const a = Math.random();', 1],
  ["import { randomBytes as r } from 'node:crypto'; export const a = r(1);", 1],
  ["import * as c from 'node:crypto'; export const a = c.randomUUID();", 1],
  ["import c from 'crypto'; export const a = c.webcrypto.getRandomValues(x);", 1],
  ['export const a = crypto.randomUUID();', 1],
  ['export const a = process.env;', 1],
  ['const { env } = process; export const a = env;', 1],
  ["import { env } from 'node:process'; export const a = env;", 1],
  ['globalThis.process.exit(1);', 1],
  ["import type { JWTPayload } from 'jose'; export type A = JWTPayload;", 1],
  ["export type A = import('jose').JWTPayload;", 1],
  ["export const a = await import('jose');", 1],
  ["export * from 'prom-client';", 1],
  ["const forge = require('node-forge/lib/asn1.js'); export default forge;", 1],
  ["import { pino } from 'pino'; export default pino;", 1],
  ['export const a = new Date(0); export const b = Date.parse("x"); export const c = Math.max(1);', 0],
  ["import { createHash } from 'node:crypto'; export const a = createHash;", 0],
];
for (const [snippet, count] of offences) {
  test(`the scan finds ${count} in: ${snippet}`, () => {
    const found = violations('domain/example.ts', snippet);
    assert.equal(found.length, count, found.join('\n'));
    if (count > 0) assert.match(found[0] ?? '', /^src\/domain\/example\.ts:1: /);
  });
}

test('what is banned elsewhere is allowed at home', () => {
  assert.deepEqual(violations('platform/clock.ts', 'export const a = Date.now();'), []);
  assert.deepEqual(violations('crypto/token-signer.ts', "import 'jose';"), []);
  assert.equal(violations('platform/logger.ts', "import 'jose';").length, 1);
});
