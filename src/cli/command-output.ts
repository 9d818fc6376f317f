/** What a command may do to the outside; a test passes its own. */
export interface CommandOutput {
  /** A line for the reader or the next program in the pipe. */
  print(line: string): void;
  /** A line beside the result: a note or an error. */
  error(line: string): void;
  /** The code the process ends with when everything has been written; the last call counts. */
  exitCode(code: number): void;
}

/** The process's own streams and exit code. */
export const processOutput: CommandOutput = Object.freeze({
  print: (line: string) => {
    process.stdout.write(`${line}\n`);
  },
  error: (line: string) => {
    process.stderr.write(`${line}\n`);
  },
  exitCode: (code: number) => {
    process.exitCode = code;
  },
});
