/**
 * The layers of src: imports go down only. Each rule names what a layer may reach; type-only imports count.
 *
 *   domain <- crypto, wire, platform (siblings) <- dataplane, membership <- sidecar, authority, inference <- cli, console
 */
const layers = [
  'domain',
  'crypto',
  'wire',
  'platform',
  'dataplane',
  'membership',
  'sidecar',
  'authority',
  'inference',
  'cli',
  'console',
];

const mayImport = {
  domain: [],
  crypto: ['domain'],
  wire: ['domain'],
  platform: ['domain'],
  dataplane: ['domain', 'crypto', 'wire', 'platform'],
  membership: ['domain', 'crypto', 'wire', 'platform'],
  sidecar: ['domain', 'crypto', 'wire', 'platform', 'dataplane', 'membership'],
  authority: ['domain', 'crypto', 'wire', 'platform', 'dataplane'],
  inference: ['domain', 'crypto', 'wire', 'platform', 'dataplane', 'membership'],
  cli: layers,
  console: layers.filter((layer) => layer !== 'cli'),
};

const layerRules = Object.entries(mayImport).map(([layer, allowed]) => ({
  name: `layer-${layer}`,
  comment: `src/${layer} may import ${allowed.length > 0 ? allowed.join(', ') : 'no other layer'}; move the code down or pass it in.`,
  severity: 'error',
  from: { path: `^src/${layer}/` },
  to: { path: '^src/', pathNot: `^src/(${[layer, ...allowed].join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'domain-is-pure',
      comment:
        'Domain rules are pure: no package and no Node module but node:crypto (for hashing). Pass the rest in as a port.',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: '^(src/|(node:)?crypto$)' },
    },
    {
      name: 'every-folder-has-a-layer',
      comment: 'A folder of src that is no layer would escape these rules: give it a place in this file.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${layers.join('|')})/` },
      to: {},
    },
    {
      name: 'src-imports-only-src',
      comment: 'Tests, scripts and benches are not shipped.',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|scripts|bench|examples)/' },
    },
    {
      name: 'no-development-packages',
      comment: 'A development dependency is absent after `npm ci --omit=dev`.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-circular',
      comment: 'A cycle has no bottom: it cannot be understood or tested in parts.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { pathNot: '^src/wire/generated/' } },
    },
    {
      name: 'not-resolvable',
      comment: 'An import that resolves to nothing would also escape the layer rules.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
