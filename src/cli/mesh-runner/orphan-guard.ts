import { spawn, type ChildProcess } from 'node:child_process';

/**
 * Ends the children when we cannot: a process that is killed with -9 runs no handler of its own. A small shell in a
 * process group of its own reads from us which groups there are; when its input ends and groups are left, we are gone.
 */
export class OrphanGuard {
  readonly #shell: ChildProcess;

  constructor() {
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
    this.#shell.on('error', () => undefined);
    this.#shell.stdin?.on('error', () => undefined);
    this.#shell.unref();
  }

  watch(pid: number): void {
    this.#shell.stdin?.write(`+ ${pid}\n`);
  }

  forget(pid: number): void {
    this.#shell.stdin?.write(`- ${pid}\n`);
  }

  /** To be called when every child has ended. */
  close(): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.pid === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#shell.ref();
      this.#shell.once('exit', () => resolve());
      this.#shell.stdin?.end('. 0\n');
    });
  }
}

const SCRIPT = `
groups=
while read -r action group; do
  case $action in
    +) groups="$groups $group" ;;
    -) rest=; for each in $groups; do [ "$each" = "$group" ] || rest="$rest $each"; done; groups=$rest ;;
    .) exit 0 ;;
  esac
done
for each in $groups; do kill -s TERM -- "-$each"; done
sleep 2
for each in $groups; do kill -s KILL -- "-$each"; done
`;
