import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cpuMs, findProgram } from '../children.ts';
import { ECHO_PATH } from '../dataplane/backend.ts';
import { readLatencies, readSummary, type LoadResult } from '../dataplane/h2load.ts';
import type { ProxyPair } from '../proxies.ts';
import { median } from '../statistics.ts';
import { ANSWER, REQUEST } from './exchanged.ts';

/** Posts so many requests over so many connections that are kept. @throws Error when not every one was answered whole */
export async function loadHttp1(
  pair: ProxyPair,
  { connections, calls, folder }: { readonly connections: number; readonly calls: number; readonly folder: string },
): Promise<LoadResult> {
  const [log, body] = [join(folder, 'h2load-http1.log'), join(folder, 'request.json')];
  writeFileSync(log, '');
  writeFileSync(body, REQUEST);
  const cpu = () => pair.pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
  const before = cpu();
  const { stdout } = await promisify(execFile)(findProgram('h2load', 'nghttp2-client'), [
    '--h1',
    '-t1',
    '--connection-inactivity-timeout=10',
    `-c${connections}`,
    `-n${calls}`,
    `-d${body}`,
    '-Hcontent-type: application/json',
    `--log-file=${log}`,
    `http://127.0.0.1:${pair.port}${ECHO_PATH}`,
  ]);
  const used = cpu() - before;
  const { seconds, succeeded, dataBytes } = readSummary(stdout);
  if (succeeded !== calls || dataBytes !== calls * ANSWER.length) {
    throw new Error(`${pair.name}: not every call came back whole:\n${stdout}`);
  }
  return { seconds, cpuMs: used, latencyUs: median(readLatencies(readFileSync(log, 'utf8'))) };
}
