/** What a client sends first on an HTTP/2 connection (RFC 9113, section 3.4). */
export const CLIENT_PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Types of frames (RFC 9113, section 6). */
export const FRAME_TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags; END_STREAM and ACK share a bit. */
export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;

/** Length of a frame header, bytes (section 4.1). */
export const FRAME_HEADER_BYTES = 9;
/** The payload of a frame that every receiver takes, and the largest of any frame that is held as a whole, bytes (section 4.2). */
export const DEFAULT_MAX_FRAME_SIZE = 16_384;
/** Largest `SETTINGS_MAX_FRAME_SIZE` (section 6.5.2). */
export const LARGEST_MAX_FRAME_SIZE = 0xff_ffff;
/** Largest flow-control window, stream id and window increment (sections 6.9.1 and 5.1.1). */
export const MAX_31_BITS = 0x7fff_ffff;
/** Flow-control windows before any SETTINGS (section 6.9.2). */
export const DEFAULT_WINDOW = 65_535;

/** Error codes (section 7). */
export const ERROR_CODE = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;
export type ErrorName = keyof typeof ERROR_CODE;

/** Settings (section 6.5.2, RFC 8441, RFC 9218). */
export const SETTING = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
  noRfc7540Priorities: 0x9,
} as const;

/** The sender of the bytes broke the protocol so that the whole connection has to end (section 5.4.1). */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly code: ErrorName;

  constructor(code: ErrorName, message: string) {
    super(message);
    this.code = code;
  }
}
