import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { httpGet } from './admin-request.ts';
import { Daemon, findProgram, freePort } from './debian-program.ts';

export const RULES = fileURLToPath(new URL('../../deploy/prometheus/', import.meta.url));

/** What is delivered, by what it is; none of a kind is an error, since a test of nothing must not pass. */
export function delivered(kind: 'rules' | 'tests'): string[] {
  const files = readdirSync(RULES).filter((name) => /\.ya?ml$/.test(name) && !name.startsWith('scrape'));
  const found = files.filter((name) => /\.test\.ya?ml$/.test(name) === (kind === 'tests'));
  assert.ok(found.length > 0, `deploy/prometheus holds no ${kind}`);
  return found.map((name) => join(RULES, name));
}

export interface Instant {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface ScrapeTarget {
  readonly job: string;
  readonly address: string;
  readonly agent?: string;
}

/** Debian's Prometheus with our rules, which scrapes twice a second. @returns what asks its API, and must succeed. */
export async function startPrometheus(
  t: TestContext,
  targets: readonly ScrapeTarget[],
): Promise<(path: string) => Promise<unknown>> {
  const program = findProgram('prometheus', 'prometheus');
  const folder = await mkdtemp(join(tmpdir(), 'ait-prometheus-'));
  const address = `127.0.0.1:${await freePort()}`;
  const config = {
    global: { scrape_interval: '500ms', evaluation_interval: '500ms' },
    rule_files: delivered('rules'),
    scrape_configs: [...new Set(targets.map(({ job }) => job))].map((job) => ({
      job_name: job,
      static_configs: targets
        .filter((target) => target.job === job)
        .map(({ address: target, agent }) => ({
          targets: [target],
          ...(agent !== undefined && { labels: { agent } }),
        })),
    })),
  };
  await writeFile(join(folder, 'prometheus.yml'), stringify(config));
  const args = [`--config.file=${join(folder, 'prometheus.yml')}`, `--storage.tsdb.path=${join(folder, 'data')}`];
  const daemon = new Daemon(t, program, [...args, `--web.listen-address=${address}`]);
  t.after(() => rm(folder, { recursive: true, force: true }));
  await daemon.says(/Server is ready to receive web requests/);
  return async (path) => {
    const answer = JSON.parse(await httpGet({ address }, path)) as { status: string; data: unknown };
    assert.equal(answer.status, 'success', JSON.stringify(answer));
    return answer.data;
  };
}
