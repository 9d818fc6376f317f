import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Another process that changes one byte of a file in place, as fast as it can, until it is stopped. */
export class RestlessWriter {
  readonly #stop: () => Promise<unknown>;

  private constructor(stop: () => Promise<unknown>) {
    this.#stop = stop;
  }

  /** @param letters the byte takes these values, in turn */
  static async start(
    path: string,
    { offset, letters }: { readonly offset: number; readonly letters: string },
  ): Promise<RestlessWriter> {
    const script = `
      const { openSync, writeSync } = require('node:fs');
      const [path, offset, letters] = process.argv.slice(1);
      const fd = openSync(path, 'r+');
      process.stdout.write('writing');
      for (let i = 0; ; i += 1) writeSync(fd, letters[i % letters.length], Number(offset));`;
    const child = spawn(process.execPath, ['-e', script, path, String(offset), letters], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    await once(child.stdout, 'data');
    return new RestlessWriter(() => {
      process.off('exit', kill);
      kill();
      return exited;
    });
  }

  async stop(): Promise<void> {
    await this.#stop();
  }
}
