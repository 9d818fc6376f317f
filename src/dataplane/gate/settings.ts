import {
  ConnectionError,
  LARGEST_MAX_FRAME_SIZE,
  MAX_31_BITS,
  SETTING,
  DEFAULT_MAX_FRAME_SIZE,
} from '../http2/protocol.ts';

/** What the SETTINGS of one side come to. */
export interface TranslatedSettings {
  /** What the other side is told instead. */
  readonly entries: readonly (readonly [id: number, value: number])[];
  /** Of the streams that the other side sends on, from now on; `undefined`: unchanged. */
  readonly initialWindow: number | undefined;
  /** Largest DATA frame that the other side may send from now on; `undefined`: unchanged. */
  readonly maxFrame: number | undefined;
}

export interface SettingsTerms {
  readonly from: 'client' | 'server';
  /** Whether these are the first that the other side is told: then what they leave out has our own limits. */
  readonly first: boolean;
  /** Streams that a client may have open at once. */
  readonly maxConcurrent: number;
  /** Size of a header list that anybody may send, as SETTINGS_MAX_HEADER_LIST_SIZE counts it. */
  readonly maxHeaderListBytes: number;
}

/** Larger DATA frames gain nothing, but a stream that is sending one cannot be overtaken, bytes. */
const MAX_FRAME = 1_048_576;

/**
 * Reads the SETTINGS of one side and says what the other is to be told (RFC 9113, section 6.5). We read header blocks
 * ourselves, so the size of the table is between each side and us: it is never passed on, and is the default. There is
 * no push, and no CONNECT. A setting that nobody here knows is not passed on: it might switch on what we cannot read.
 *
 * @throws ConnectionError for a value out of range
 */
export function translateSettings(payload: Buffer, terms: SettingsTerms): TranslatedSettings {
  const { from, first, maxConcurrent, maxHeaderListBytes } = terms;
  const told = new Map<number, number>();
  if (first) {
    told.set(SETTING.maxHeaderListSize, maxHeaderListBytes);
    if (from === 'client') told.set(SETTING.enablePush, 0);
    else told.set(SETTING.maxConcurrentStreams, maxConcurrent);
  }
  for (let at = 0; at < payload.length; at += 6) {
    const id = payload.readUInt16BE(at);
    const value = payload.readUInt32BE(at + 2);
    switch (id) {
      case SETTING.enablePush:
        if (value > 1 || (value === 1 && from === 'server')) bad('PROTOCOL_ERROR', `ENABLE_PUSH ${value}`);
        break;
      case SETTING.maxConcurrentStreams:
        if (from === 'server') told.set(id, Math.min(value, maxConcurrent));
        break;
      case SETTING.initialWindowSize:
        if (value > MAX_31_BITS) bad('FLOW_CONTROL_ERROR', `INITIAL_WINDOW_SIZE ${value}`);
        told.set(id, value);
        break;
      case SETTING.maxFrameSize:
        if (value < DEFAULT_MAX_FRAME_SIZE || value > LARGEST_MAX_FRAME_SIZE)
          bad('PROTOCOL_ERROR', `MAX_FRAME_SIZE ${value}`);
        told.set(id, Math.min(value, MAX_FRAME));
        break;
      case SETTING.maxHeaderListSize:
        told.set(id, Math.min(value, maxHeaderListBytes));
        break;
      case SETTING.noRfc7540Priorities:
        if (value > 1) bad('PROTOCOL_ERROR', `NO_RFC7540_PRIORITIES ${value}`);
        told.set(id, value);
        break;
      default:
    }
  }
  return {
    entries: [...told],
    initialWindow: told.get(SETTING.initialWindowSize),
    maxFrame: told.get(SETTING.maxFrameSize),
  };
}

function bad(code: 'PROTOCOL_ERROR' | 'FLOW_CONTROL_ERROR', message: string): never {
  throw new ConnectionError(code, message);
}
