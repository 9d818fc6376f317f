import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isExcluded } from '../../../../src/cli/check/no-proxy.ts';

for (const [list, host, port, excluded] of [
  ['', 'researcher.mesh', 80, false],
  [' , ', 'researcher.mesh', 80, false],
  ['*', 'researcher.mesh', 80, true],
  ['127.0.0.1,localhost', '127.0.0.1', 17001, true],
  ['localhost', '127.0.0.1', 17001, false],
  ['mesh', 'researcher.mesh', 80, true],
  ['.mesh', 'researcher.mesh', 80, true],
  ['*.mesh', 'researcher.mesh', 80, true],
  ['esh', 'researcher.mesh', 80, false],
  ['a, Researcher.MESH ,b', 'researcher.mesh', 80, true],
  ['researcher.mesh:443', 'researcher.mesh', 443, true],
  ['researcher.mesh:443', 'researcher.mesh', 80, false],
  ['evil.researcher.mesh', 'researcher.mesh', 80, false],
] as const) {
  test(`NO_PROXY=${list}: ${host}:${port} is ${excluded ? 'called directly' : 'for the proxy'}`, () => {
    assert.equal(isExcluded(list, host, port), excluded);
  });
}
