import { writeSync } from 'node:fs';
import { pino } from 'pino';
import { systemClock, type Clock } from './clock.ts';
import { QueuedWrites } from './queued-writes.ts';
import { isSecretName } from './secret-name.ts';

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What goes with an event: plain data. An `Error` under any key is written as name, message, code, stack and causes. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * A structured log: each line is one event, named in snake_case (`exchange_rejected`), with fields; never a sentence to
 * be parsed. Secrets are redacted by name, but the caller's duty remains not to log them.
 */
export interface Logger {
  trace(event: string, fields?: LogFields): void;
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  fatal(event: string, fields?: LogFields): void;
  /** A logger whose every line also has these fields. It follows this one's level. */
  child(fields: LogFields): Logger;
  /** For an event of which there are very many, at level info. */
  bulk(event: string): BulkLog;
  /** The lowest level written. Setting it acts at once, on the whole family of loggers. */
  level: LogLevel;
}

/**
 * Lines of one event. They may come later than others of the log, and where they cannot be written as fast as they come,
 * some are lost and counted: whoever writes them never waits.
 */
export interface BulkLog {
  /** Whether lines are written at the present level: what is not is not worth putting together. */
  readonly enabled: boolean;
  /** @param members of a JSON object, without its braces; written as they are, so the names and secrets are the caller's duty. */
  write(members: string): void;
}

/** Where lines go. A line ends with a newline; `write` must not throw. */
export interface LogDestination {
  write(line: string): void;
  /**
   * Takes a line that may be written later. Default: it is written as any other.
   *
   * @returns false when there was no room for it, and it was dropped.
   */
  queue?(line: string): boolean;
}

export interface LoggerOptions {
  /** Default `info`. */
  readonly level?: LogLevel;
  /** What writes: the process's role, such as `sidecar`; the field `name`. */
  readonly name: string;
  /** Default: standard output, written synchronously. */
  readonly destination?: LogDestination;
  /** Stamps the lines. Default: the machine's. */
  readonly clock?: Clock;
}

const REDACTED = '[redacted]';
/** What the logger itself says about a line; a field of that name is written as `field_<name>`. */
const RESERVED_NAMES = ['ts', 'level', 'name', 'event'] as const;
/** Depth and breadth past which a value is cut: a log line is not a dump. */
const MAX_DEPTH = 8;
const MAX_ENTRIES = 200;

/** @returns a logger that writes JSON lines with `ts` (ISO 8601), `level`, `name`, `event` and the fields. */
export function createLogger(options: LoggerOptions): Logger {
  const { level = 'info', name, destination = createFileDescriptorDestination(1), clock = systemClock } = options;
  const root = pino(
    {
      level,
      base: { name },
      messageKey: 'event',
      timestamp: () => `,"ts":"${new Date(clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );

  let [stampedAt, stamped] = [Number.NaN, ''];
  /** Many bulk lines fall into one millisecond. */
  const stamp = (): string => {
    const now = clock.now();
    if (now !== stampedAt) [stampedAt, stamped] = [now, new Date(now).toISOString()];
    return stamped;
  };

  const wrap = (bound: LogFields): Logger => {
    const write = (method: Exclude<LogLevel, 'silent'>, event: string, fields?: LogFields): void => {
      if (!root.isLevelEnabled(method)) return;
      root[method](redact({ ...bound, ...fields }), event);
    };
    return {
      trace: (event, fields) => write('trace', event, fields),
      debug: (event, fields) => write('debug', event, fields),
      info: (event, fields) => write('info', event, fields),
      warn: (event, fields) => write('warn', event, fields),
      error: (event, fields) => write('error', event, fields),
      fatal: (event, fields) => write('fatal', event, fields),
      child: (fields) => wrap({ ...bound, ...fields }),
      bulk: (event) => {
        const head = JSON.stringify({ name, ...redact(bound), event }).slice(1, -1);
        let dropped = 0;
        return {
          get enabled() {
            return root.isLevelEnabled('info');
          },
          write: (members) => {
            if (!root.isLevelEnabled('info')) return;
            const line = `{"level":"info","ts":"${stamp()}",${head},${members}}\n`;
            if (destination.queue === undefined) destination.write(line);
            else if (!destination.queue(line)) dropped += 1;
            else if (dropped > 0) {
              write('warn', 'lines_dropped', { of: event, count: dropped });
              dropped = 0;
            }
          },
        };
      },
      get level() {
        return root.level as LogLevel;
      },
      set level(next: LogLevel) {
        root.level = next;
      },
    };
  };
  return wrap({});
}

/**
 * Writes lines to a file descriptor at once, so that a crash loses none. A reader that went away (`EPIPE`) ends the log,
 * not the process; a pipe that is full (`EAGAIN`) is retried a little, then the line is dropped: logging must never
 * stop enforcement.
 */
export function createFileDescriptorDestination(fd: number): LogDestination {
  let open = true;
  let queued: QueuedWrites | undefined;
  const destination: LogDestination = {
    queue(line) {
      queued ??= new QueuedWrites({ fd, writeNow: (text) => destination.write(text) });
      return queued.add(line);
    },
    write(line) {
      let rest = Buffer.from(line);
      for (let attempts = 0; open && rest.length > 0 && attempts < 50; attempts += 1) {
        try {
          rest = rest.subarray(writeSync(fd, rest));
        } catch (error) {
          const code = (error as NodeJS.ErrnoException).code;
          if (code !== 'EAGAIN') open = code !== 'EPIPE' && code !== 'EBADF';
          else Atomics.wait(pause, 0, 0, 1);
          if (code !== 'EAGAIN') return;
        }
      }
    },
  };
  return destination;
}
const pause = new Int32Array(new SharedArrayBuffer(4));

/** A copy fit for a log: secrets by name replaced, errors unfolded, cycles, depth and size bounded. Never throws. */
function redact(fields: LogFields): Record<string, unknown> {
  const copy = copyRecord(fields, new Set(), 0);
  // JSON would carry the name twice, and most readers take the last: a field must not forge what the logger says.
  for (const name of RESERVED_NAMES) {
    if (!(name in copy)) continue;
    copy[`field_${name}`] = copy[name];
    delete copy[name];
  }
  return copy;
}

function copyRecord(record: object, above: Set<object>, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(record).slice(0, MAX_ENTRIES)) {
    // Counts, flags and times under such a name (`tokens: 512`) give nothing away.
    const plain = typeof value === 'number' || typeof value === 'boolean' || value === undefined || value === null;
    copy[name] = isSecretName(name) && !plain ? REDACTED : copyValue(value, above, depth + 1);
  }
  return copy;
}

function copyValue(value: unknown, above: Set<object>, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (above.has(value)) return '[circular]';
  if (depth > MAX_DEPTH) return '[too deep]';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof Uint8Array) return `[${value.length} bytes]`;
  above.add(value);
  try {
    if (value instanceof Error) return copyError(value, above, depth);
    if (value instanceof Map) return copyRecord(Object.fromEntries(value), above, depth);
    if (Array.isArray(value) || value instanceof Set) {
      return [...value].slice(0, MAX_ENTRIES).map((item) => copyValue(item, above, depth + 1));
    }
    return copyRecord(value, above, depth);
  } catch {
    return '[unreadable]';
  } finally {
    above.delete(value);
  }
}

function copyError(error: Error, above: Set<object>, depth: number): Record<string, unknown> {
  const copy: Record<string, unknown> = { type: error.name, message: error.message };
  if ('code' in error) copy['code'] = error.code;
  if ('hint' in error) copy['hint'] = error.hint;
  if (error.stack !== undefined) copy['stack'] = error.stack;
  if (error.cause !== undefined) copy['cause'] = copyValue(error.cause, above, depth + 1);
  if (error instanceof AggregateError) copy['errors'] = copyValue(error.errors, above, depth + 1);
  return copy;
}
