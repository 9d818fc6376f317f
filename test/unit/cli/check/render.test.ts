import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { createColors } from 'picocolors';
import { CHECKS, fail, linkOf, ok, skip, warn, type CheckName } from '../../../../src/cli/check/finding.ts';
import { renderFindings } from '../../../../src/cli/check/render.ts';

const PLAIN = createColors(false);

test('each finding is a line, and what is to be fixed says how, and where to read more', () => {
  const text = renderFindings(
    'planner',
    [
      ok('sidecar-answers', '/run/admin.sock'),
      fail('peer-way', 'researcher: PEER_UNREACHABLE', 'start it'),
      warn('clock', '5 s behind', 'set it'),
      skip('common-way', 'not configured'),
    ],
    PLAIN,
  );
  assert.deepEqual(text.split('\n'), [
    'planner',
    '',
    'ok    sidecar-answers     /run/admin.sock',
    'FAIL  peer-way            researcher: PEER_UNREACHABLE',
    '                          fix: start it',
    '                          see: docs/check.md#peer-way',
    'warn  clock               5 s behind',
    '                          fix: set it',
    '                          see: docs/check.md#clock',
    '-     common-way          not configured',
    '',
    '1 to fix: 1 failed, 1 to look at, 1 in order, 1 not looked at',
  ]);
});

test('what others say cannot repaint the terminal', () => {
  const text = renderFindings('planner', [fail('peer-way', 'x\u001b[2J', 'y\u0007')], PLAIN);
  // oxlint-disable-next-line no-control-regex -- these are what is looked for
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f]/);
});

test('every check has a section in the page that it links to, and the page has no other', () => {
  const page = readFileSync(new URL('../../../../docs/check.md', import.meta.url), 'utf8');
  const sections = [...page.matchAll(/^### (.*)$/gm)].map(([, name]) => name);
  const names = Object.keys(CHECKS) as CheckName[];
  assert.deepEqual(sections.toSorted(), names.toSorted());
  assert.equal(linkOf('clock'), 'docs/check.md#clock');
});
