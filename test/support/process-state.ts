import { readdirSync, readFileSync } from 'node:fs';

/**
 * What the kernel says of a process that does not do what was waited for: whether it runs (R), sleeps (S), is stopped (T)
 * or gone, and how much of the processor it had. Linux only; elsewhere it says that there is no such thing.
 */
export function processState(pid: number): string {
  try {
    const threads = readdirSync(`/proc/${pid}/task`).map((task) => threadState(`/proc/${pid}/task/${task}`));
    return `process ${pid}: ${threads.join('; ')}`;
  } catch {
    return `process ${pid}: not in /proc`;
  }
}

/** Name, state, and ticks in user and kernel mode (proc_pid_stat(5), fields 2, 3, 14 and 15). */
function threadState(folder: string): string {
  const [, name = '', rest = ''] = /\((.*)\) (.*)/s.exec(readFileSync(`${folder}/stat`, 'utf8')) ?? [];
  const fields = rest.split(' ');
  return `${name} ${fields[0]} ${fields[11]}+${fields[12]} in ${readFileSync(`${folder}/wchan`, 'utf8') || 'user mode'}`;
}
