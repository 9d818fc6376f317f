import { rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Dimension } from '../../src/domain/measurement.ts';
import type { RejectionCode } from '../../src/domain/rejection.ts';
import type { FailureReason } from '../../src/sidecar/measure/measurement-problem.ts';
import type { AgentFiles } from './agent-files.ts';

/** One way in which a manifest can be none. */
export interface BadManifest {
  readonly what: string;
  readonly dimension: Exclude<Dimension, 'system_prompt'>;
  readonly spoil: (files: AgentFiles) => Promise<unknown>;
  readonly code: RejectionCode;
  readonly reason: FailureReason;
  readonly says: RegExp;
}

const HEX = 'ab'.repeat(32);

function knowledge(what: string, text: string, says: RegExp, reason: FailureReason = 'malformed'): BadManifest {
  const spoil = (files: AgentFiles) => writeFile(files.manifest, text);
  return { what, dimension: 'knowledge_base', spoil, code: 'MEASUREMENT_INVALID', reason, says };
}

function model(what: string, text: string, says: RegExp): BadManifest {
  const spoil = (files: AgentFiles) => writeFile(files.model, text);
  return { what, dimension: 'model', spoil, code: 'MEASUREMENT_INVALID', reason: 'malformed', says };
}

function tools(what: string, text: string | Buffer, says: RegExp, reason: FailureReason = 'malformed'): BadManifest {
  const spoil = (files: AgentFiles) => writeFile(files.tools, text);
  return { what, dimension: 'tools', spoil, code: 'MEASUREMENT_INVALID', reason, says };
}

/** Each says where to look: the file, and the place in it as far as there is one. */
export const BAD_MANIFESTS: readonly BadManifest[] = [
  knowledge('not JSON', '{"version": "1",\n "entries": [,]}', /manifest\.json:2:\d+: /),
  knowledge(
    'a key twice',
    '{"version": "1", "version": "2", "entries": []}',
    /manifest\.json:1:18: this key is already in the object/,
  ),
  knowledge('no entries', '{"version": "1", "entries": []}', /manifest\.json: no entries/, 'empty'),
  knowledge(
    'a digest that is none',
    '{"version": "1", "entries": [{"name": "a", "sha256": "AB"}]}',
    /entries\[0\]\.sha256/,
  ),
  knowledge(
    'an entry outside the root',
    `{"version": "1", "entries": [{"name": "a", "sha256": "${HEX}", "path": "../../etc/passwd"}]}`,
    /entries\[0\]\.path.*below the root/,
  ),
  {
    what: 'an entry whose file is gone',
    dimension: 'knowledge_base',
    spoil: (files) => rm(join(dirname(files.manifest), 'notes.md')),
    code: 'MEASUREMENT_UNREADABLE',
    reason: 'missing',
    says: /notes\.md: does not exist/,
  },
  model('without its version', '{"provider": "example", "id": "large"}', /model\.json: .*version/),
  model('a list', '[]', /model\.json: /),
  model('with a member that nobody knows', '{"provider": "a", "id": "b", "version": "1", "wieghts": "w"}', /wieghts/),
  {
    what: 'weights that are not there',
    dimension: 'model',
    spoil: ({ model: path }) =>
      writeFile(path, '{"provider": "a", "id": "b", "version": "1", "weights": "weights.bin"}'),
    code: 'MEASUREMENT_UNREADABLE',
    reason: 'missing',
    says: /weights\.bin: does not exist/,
  },
  tools('a number', '42', /tools\.json: /),
  tools('no tool', '[]', /tools\.json: no tools/, 'empty'),
  tools('a tool without a name', '[{"name": "a"}, {"description": "b"}]', /tools\[1\]/),
  tools('two tools of one name', '[{"name": "a"}, {"name": "a", "x": 1}]', /two tools are named "a"/),
  tools('one page of several', '{"tools": [{"name": "a"}], "nextCursor": "2"}', /nextCursor/),
  tools('not UTF-8', Buffer.from('[{"name": "caf\u00e9"}]', 'latin1'), /not UTF-8 at byte 14/, 'not_utf8'),
  {
    what: 'of 100 MB',
    dimension: 'tools',
    spoil: (files) => truncate(files.tools, 100 * 1024 * 1024),
    code: 'MEASUREMENT_INVALID',
    reason: 'too_large',
    says: /tools\.json: larger than 4194304 bytes/,
  },
];
