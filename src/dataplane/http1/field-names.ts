/** Fields of one connection, which end at each hop (RFC 9110, section 7.6.1). What we have to say of it we say ourselves. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/**
 * Fields on which hangs where a message ends, or whom it is for. A spelling that some servers take for one of them is no
 * other field; nor may a sender have them removed as if they were the connection's.
 */
const FRAMING: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** What a sender may not declare to be the connection's own: it would have us take away what the callee relies on. */
export const NOT_FOR_CONNECTION: ReadonlySet<string> = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'origin',
  'traceparent',
  'tracestate',
  'transfer-encoding',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
]);

const UNUSUAL = /[^a-z0-9-]/;

/** `content_length` and the like: some servers make a hyphen of what is neither letter nor digit, as CGI does. */
export function isHiddenFraming(lowerCaseName: string): boolean {
  return UNUSUAL.test(lowerCaseName) && FRAMING.has(lowerCaseName.replaceAll(/[^a-z0-9]/g, '-'));
}

/**
 * Whether a field may come behind a body (RFC 9110, section 6.5.1): none that says how to read the message, whom it is
 * for, or who sent it. What may not is left out, as everybody may leave out trailers.
 */
export function isTrailer(lowerCaseName: string): boolean {
  return (
    !HOP_BY_HOP.has(lowerCaseName) &&
    !FRAMING.has(lowerCaseName) &&
    !NOT_FOR_CONNECTION.has(lowerCaseName) &&
    !isHiddenFraming(lowerCaseName)
  );
}
