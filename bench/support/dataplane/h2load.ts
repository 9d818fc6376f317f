import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cpuMs, findProgram } from '../children.ts';
import type { ProxyPair } from '../proxies.ts';
import { median } from '../statistics.ts';

export interface Load {
  readonly connections: number;
  /** At once on each connection. */
  readonly streams: number;
  readonly calls: number;
  readonly path: string;
  /** What is posted; without it the calls are GETs. */
  readonly bodyFile?: string;
  /** Of each answer's body. */
  readonly answerBytes: number;
}

export interface LoadResult {
  readonly seconds: number;
  /** User and system time of both proxies, each with its threads and children. */
  readonly cpuMs: number;
  /** Median over all calls, from sending the request to its last byte. */
  readonly latencyUs: number;
}

/** A connection on which nothing happens for so long will not come to life again. */
const SILENCE_S = 10;

/** A load after which not every call had come back whole. */
export class LoadFailed extends Error {}

/** Loads one pair. @throws LoadFailed when a call failed, or did not bring back what it should */
export async function loadPair(pair: ProxyPair, load: Load, folder: string): Promise<LoadResult> {
  // A line a call: in a folder of its own, or every sidecar beside whose files it lay would hear of every line.
  mkdirSync(join(folder, 'load'), { recursive: true });
  const log = join(folder, 'load', 'h2load.log');
  writeFileSync(log, '');
  const { connections, streams, calls, bodyFile } = load;
  const grpc = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const args = [
    '-t1',
    `--connection-inactivity-timeout=${SILENCE_S}`,
    `-c${connections}`,
    `-m${streams}`,
    `-n${calls}`,
    `--log-file=${log}`,
  ];
  const body = bodyFile === undefined ? [] : [...grpc, `-d${bodyFile}`];
  const cpu = () => pair.pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
  const before = cpu();
  const program = findProgram('h2load', 'nghttp2-client');
  const { stdout } = await promisify(execFile)(program, [
    ...args,
    ...body,
    `http://127.0.0.1:${pair.port}${load.path}`,
  ]);
  const used = cpu() - before;
  const { seconds, succeeded, dataBytes } = readSummary(stdout);
  // A refused gRPC call has status 200, too; what it lacks is the answer.
  if (succeeded !== calls || dataBytes !== calls * load.answerBytes) {
    throw new LoadFailed(`${pair.name}: not every call came back whole:\n${stdout}`);
  }
  return { seconds, cpuMs: used, latencyUs: median(readLatencies(readFileSync(log, 'utf8'))) };
}

const UNITS: Readonly<Record<string, number>> = { us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

/** What h2load prints at its end. @throws Error when that is not there */
export function readSummary(text: string): { seconds: number; succeeded: number; dataBytes: number } {
  const time = /^finished in ([\d.]+)(us|ms|s|m|h), /m.exec(text);
  const succeeded = /^requests: .* (\d+) succeeded,/m.exec(text);
  const data = /^traffic: .* \((\d+)\) data$/m.exec(text);
  if (time === null || succeeded === null || data === null) throw new Error(`h2load says nothing of it:\n${text}`);
  const seconds = Number(time[1]) * (UNITS[time[2] ?? ''] ?? Number.NaN);
  return { seconds, succeeded: Number(succeeded[1]), dataBytes: Number(data[1]) };
}

/** Its log: a line a call, with the start, the status and the time it took, µs. */
export function readLatencies(log: string): number[] {
  return log
    .trim()
    .split('\n')
    .map((line) => Number(line.split('\t')[2]));
}
