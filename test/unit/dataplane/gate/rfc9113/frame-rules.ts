import { FLAG } from '../../../../../src/dataplane/http2/protocol.ts';
import type { Side } from '../../../../support/bare-gate.ts';
import { block, frame, frames, GRPC_REQUEST, REQUEST, RESPONSE } from '../../../../support/http2-bytes.ts';
import { ANSWERED, ASKED, OPEN, type Rule, type Step } from './rule.ts';

const SIDES: readonly Side[] = ['client', 'server'];
/** Stream 1 is open, so that either side may send DATA on it. */
const BOTH_SPEAK: readonly Step[] = [OPEN, ANSWERED];

function ofBoth(rule: (from: Side) => Omit<Rule, 'step'> & { readonly bytes: readonly Buffer[] }): Rule[] {
  return SIDES.map((from) => {
    const { bytes, ...rest } = rule(from);
    return { ...rest, what: `${rest.what} (from the ${from})`, step: [from, ...bytes] };
  });
}

function endsIt(
  section: string,
  what: string,
  code: 'PROTOCOL_ERROR' | 'FRAME_SIZE_ERROR',
  ...bytes: Buffer[]
): Rule[] {
  return ofBoth(() => ({ section, what, before: BOTH_SPEAK, bytes, verdict: { ends: code } }));
}

function isIgnored(section: string, what: string, ...bytes: Buffer[]): Rule[] {
  return ofBoth(() => ({ section, what, before: BOTH_SPEAK, bytes, verdict: 'ignored' }));
}

const bytes = (count: number): Buffer => Buffer.alloc(count);
const split = block({ ...REQUEST, 'x-long': 'long' });
const wide = (side: Side): Step => [side, frames.settings([5, 100_000])];
const byOther = (side: Side): Side => (side === 'client' ? 'server' : 'client');

/** Sections 4 and 6: what a frame may look like, from whichever side it comes. */
export const FRAME_RULES: readonly Rule[] = [
  ...isIgnored('4.1', 'a frame of an unknown type', frame(0x2a, { stream: 1, flags: 0xff, payload: bytes(100) })),
  ...isIgnored('4.1', 'a frame of an unknown type on stream 0', frame(0x2a, { payload: bytes(16_384) })),
  ...isIgnored('4.1', 'a frame of an unknown type on an idle stream', frame(0xfe, { stream: 77 })),
  ...ofBoth(() => ({
    section: '4.1',
    what: 'flags that PING does not have',
    before: BOTH_SPEAK,
    bytes: [frame(6, { flags: 0xfe, payload: bytes(8) })],
    verdict: { passes: ['PING'] },
  })),
  ...ofBoth(() => ({
    section: '4.1',
    what: 'flags that DATA does not have are not passed on',
    before: BOTH_SPEAK,
    bytes: [frame(0, { flags: 0xf6, stream: 1, payload: bytes(5) })],
    verdict: { passes: ['DATA 1 5'] },
  })),
  ...ofBoth(() => ({
    section: '4.1',
    what: 'the reserved bit before the stream is ignored, and not passed on',
    before: BOTH_SPEAK,
    bytes: [frame(0, { stream: 0x8000_0001, payload: bytes(5) })],
    verdict: { passes: ['DATA 1 5'] },
  })),
  ...ofBoth(() => ({
    section: '4.2',
    what: 'DATA of the largest size that everybody takes',
    before: BOTH_SPEAK,
    bytes: [frames.data(1, 16_384)],
    verdict: { passes: ['DATA 1 16384'] },
  })),
  ...endsIt('4.2', 'DATA that is larger than was allowed', 'FRAME_SIZE_ERROR', frames.data(1, 16_385)),
  ...endsIt('4.2', 'HEADERS that are larger than was allowed', 'FRAME_SIZE_ERROR', frames.headers(1, bytes(16_385))),
  ...endsIt(
    '4.2',
    'SETTINGS that are larger than was allowed',
    'FRAME_SIZE_ERROR',
    frame(4, { payload: bytes(16_386) }),
  ),
  ...endsIt('4.2', 'a frame of 16 MiB', 'FRAME_SIZE_ERROR', Buffer.from('ffffff2a0000000001', 'hex')),
  ...ofBoth((from) => ({
    section: '4.2',
    what: 'DATA as large as the other side allowed',
    before: [...BOTH_SPEAK, wide(byOther(from))],
    bytes: [frames.data(1, 60_000)],
    verdict: { passes: ['DATA 1 60000'] },
  })),
  ...ofBoth((from) => ({
    section: '4.2',
    what: 'an unknown frame as large as the other side allowed',
    before: [...BOTH_SPEAK, wide(byOther(from))],
    bytes: [frame(0x2a, { payload: bytes(100_000) })],
    verdict: 'ignored',
  })),
  {
    section: '4.2',
    what: 'HEADERS as large as the other side allowed',
    before: [wide('server')],
    step: ['client', frames.headers(1, { ...REQUEST, 'x-large': 'x'.repeat(30_000) })],
    verdict: { passes: ['HEADERS 1 …', 'CONTINUATION 1'] },
  },
  ...ofBoth((from) => ({
    section: '4.2',
    what: 'DATA larger than the other side allowed',
    before: [...BOTH_SPEAK, wide(byOther(from))],
    bytes: [frames.data(1, 100_001)],
    verdict: { ends: 'FRAME_SIZE_ERROR' },
  })),
  ...ofBoth((from) => ({
    section: '4.3',
    what: 'a header block that cannot be decoded',
    before: [OPEN],
    bytes: [frames.headers(from === 'client' ? 3 : 1, Buffer.from('ffffffffffff', 'hex'))],
    verdict: { ends: 'COMPRESSION_ERROR' },
  })),
  ...ofBoth((from) => ({
    section: '4.3',
    what: 'a table that grows beyond what was allowed',
    before: [OPEN],
    bytes: [frames.headers(from === 'client' ? 3 : 1, Buffer.from('3fe2ff03', 'hex'))],
    verdict: { ends: 'COMPRESSION_ERROR' },
  })),
  {
    section: '4.3',
    what: 'a block that cannot be decoded, on a stream that is refused anyway',
    before: [['server', frames.goaway(0)]],
    step: ['client', frames.headers(1, Buffer.from('be', 'hex'))],
    verdict: { ends: 'COMPRESSION_ERROR' },
  },
  ...endsIt(
    '4.3',
    'a block that another frame interrupts',
    'PROTOCOL_ERROR',
    frames.headers(1, RESPONSE, { endHeaders: false }),
    frames.ping(),
  ),
  ...endsIt(
    '4.3',
    'a block that an unknown frame interrupts',
    'PROTOCOL_ERROR',
    frames.headers(1, RESPONSE, { endHeaders: false }),
    frame(0x2a),
  ),
  ...endsIt(
    '4.3',
    'a block that HEADERS of another stream interrupt',
    'PROTOCOL_ERROR',
    frames.headers(1, RESPONSE, { endHeaders: false }),
    frames.headers(3, RESPONSE),
  ),

  ...endsIt('6.1', 'DATA on stream 0', 'PROTOCOL_ERROR', frames.data(0, 1)),
  ...endsIt('6.1', 'empty DATA on stream 0', 'PROTOCOL_ERROR', frames.data(0, 0)),
  ...endsIt(
    '6.1',
    'padding as long as the payload',
    'PROTOCOL_ERROR',
    frame(0, { flags: FLAG.padded, stream: 1, payload: Buffer.from([2, 0]) }),
  ),
  ...endsIt(
    '6.1',
    'padding longer than the payload',
    'PROTOCOL_ERROR',
    frame(0, { flags: FLAG.padded, stream: 1, payload: Buffer.from([255, 0, 0]) }),
  ),
  ...endsIt('6.1', 'padded DATA without a pad length', 'FRAME_SIZE_ERROR', frame(0, { flags: FLAG.padded, stream: 1 })),
  ...ofBoth((from) => {
    const credit = ['WINDOW_UPDATE 1 8', 'WINDOW_UPDATE 0 8'];
    const verdict =
      from === 'client' ? { client: credit, server: ['DATA 1 10'] } : { client: ['DATA 1 10'], server: credit };
    return {
      section: '6.1',
      what: 'padding goes no further, and is given back',
      before: BOTH_SPEAK,
      bytes: [frames.paddedData(1, 10, 7)],
      verdict,
    };
  }),
  ...ofBoth((from) => {
    const credit = ['WINDOW_UPDATE 1 1', 'WINDOW_UPDATE 0 1'];
    const verdict =
      from === 'client' ? { client: credit, server: ['DATA 1 10 END'] } : { client: ['DATA 1 10 END'], server: credit };
    return {
      section: '6.1',
      what: 'padding of no octets, at the end of a stream',
      before: BOTH_SPEAK,
      bytes: [frames.paddedData(1, 10, 0, { end: true })],
      verdict,
    };
  }),

  ...endsIt('6.2', 'HEADERS on stream 0', 'PROTOCOL_ERROR', frames.headers(0, REQUEST)),
  ...endsIt(
    '6.2',
    'HEADERS with more padding than payload',
    'PROTOCOL_ERROR',
    frames.headers(1, Buffer.from([9, 0x88]), { flags: FLAG.padded }),
  ),
  ...endsIt(
    '6.2',
    'padded HEADERS without a pad length',
    'FRAME_SIZE_ERROR',
    frames.headers(1, bytes(0), { flags: FLAG.padded }),
  ),
  ...endsIt(
    '6.2',
    'HEADERS too short for the priority that they announce',
    'FRAME_SIZE_ERROR',
    frames.headers(1, bytes(4), { flags: FLAG.priority }),
  ),
  ...endsIt(
    '6.2',
    'HEADERS whose padding reaches into the priority',
    'PROTOCOL_ERROR',
    frames.headers(1, Buffer.from([2, 0, 0, 0, 0, 0, 0x88]), { flags: FLAG.padded | FLAG.priority }),
  ),
  {
    section: '6.2',
    what: 'padding and priority are taken off',
    step: [
      'client',
      frames.headers(1, Buffer.concat([Buffer.from([3, 0, 0, 0, 7, 1]), block(REQUEST), bytes(3)]), {
        flags: FLAG.padded | FLAG.priority,
        end: true,
      }),
    ],
    verdict: { passes: ['HEADERS 1 END'] },
  },
  ...endsIt('6.3', 'PRIORITY on stream 0', 'PROTOCOL_ERROR', frames.priority(0)),
  ...endsIt('6.3', 'PRIORITY of a wrong length', 'FRAME_SIZE_ERROR', frame(2, { stream: 1, payload: bytes(4) })),
  ...isIgnored('6.3', 'PRIORITY on an open stream', frames.priority(1)),
  ...isIgnored('6.3', 'PRIORITY on an idle stream', frames.priority(99)),
  ...isIgnored(
    '5.3.1',
    'a stream that depends on itself',
    frame(2, { stream: 1, payload: Buffer.from([0, 0, 0, 1, 1]) }),
  ),

  ...endsIt('6.4', 'RST_STREAM on stream 0', 'PROTOCOL_ERROR', frames.reset(0)),
  ...endsIt('6.4', 'RST_STREAM of three octets', 'FRAME_SIZE_ERROR', frame(3, { stream: 1, payload: bytes(3) })),
  ...endsIt('6.4', 'RST_STREAM of five octets', 'FRAME_SIZE_ERROR', frame(3, { stream: 1, payload: bytes(5) })),
  ...endsIt('6.4', 'RST_STREAM on an idle stream', 'PROTOCOL_ERROR', frames.reset(3)),
  ...ofBoth(() => ({
    section: '7',
    what: 'RST_STREAM with a code that nobody knows',
    before: BOTH_SPEAK,
    bytes: [frames.reset(1, 0xfff)],
    verdict: { passes: ['RST_STREAM 1 error 4095'] },
  })),

  ...endsIt('6.5', 'SETTINGS on a stream', 'PROTOCOL_ERROR', frame(4, { stream: 1, payload: bytes(6) })),
  ...endsIt('6.5', 'SETTINGS whose length is no multiple of six', 'FRAME_SIZE_ERROR', frame(4, { payload: bytes(5) })),
  ...endsIt(
    '6.5',
    'an acknowledgement that says something',
    'FRAME_SIZE_ERROR',
    frame(4, { flags: FLAG.ack, payload: bytes(6) }),
  ),
  ...endsIt('6.5', 'an acknowledgement on a stream', 'PROTOCOL_ERROR', frame(4, { flags: FLAG.ack, stream: 1 })),

  ...ofBoth(() => ({
    section: '6.6',
    what: 'PUSH_PROMISE',
    before: BOTH_SPEAK,
    bytes: [
      frame(5, {
        stream: 1,
        flags: FLAG.endHeaders,
        payload: Buffer.concat([Buffer.from([0, 0, 0, 2]), block(REQUEST)]),
      }),
    ],
    verdict: { ends: 'PROTOCOL_ERROR' },
  })),

  ...endsIt('6.7', 'PING on a stream', 'PROTOCOL_ERROR', frame(6, { stream: 1, payload: bytes(8) })),
  ...endsIt('6.7', 'PING of seven octets', 'FRAME_SIZE_ERROR', frame(6, { payload: bytes(7) })),
  ...endsIt('6.7', 'PING of nine octets', 'FRAME_SIZE_ERROR', frame(6, { payload: bytes(9) })),
  ...ofBoth(() => ({
    section: '6.7',
    what: 'PING goes to the other end, which answers itself',
    bytes: [frames.ping()],
    verdict: { passes: ['PING'] },
  })),

  ...endsIt('6.8', 'GOAWAY on a stream', 'PROTOCOL_ERROR', frame(7, { stream: 1, payload: bytes(8) })),
  ...endsIt('6.8', 'GOAWAY of less than eight octets', 'FRAME_SIZE_ERROR', frame(7, { payload: bytes(7) })),

  ...endsIt('6.9', 'WINDOW_UPDATE of three octets', 'FRAME_SIZE_ERROR', frame(8, { stream: 1, payload: bytes(3) })),
  ...endsIt('6.9', 'WINDOW_UPDATE of 0 for the connection', 'PROTOCOL_ERROR', frames.windowUpdate(0, 0)),
  ...endsIt('6.9', 'WINDOW_UPDATE on an idle stream', 'PROTOCOL_ERROR', frames.windowUpdate(5, 1)),
  ...ofBoth(() => ({
    section: '6.9',
    what: 'WINDOW_UPDATE of 0 for a stream',
    before: BOTH_SPEAK,
    bytes: [frames.windowUpdate(1, 0)],
    verdict: { resets: 1, with: 'PROTOCOL_ERROR' },
  })),
  ...ofBoth(() => ({
    section: '6.9',
    what: 'the reserved bit before an increment is ignored, and not passed on',
    before: BOTH_SPEAK,
    bytes: [frames.windowUpdate(1, 0x8000_0005)],
    verdict: { passes: ['WINDOW_UPDATE 1 5'] },
  })),

  ...endsIt('6.10', 'CONTINUATION that continues nothing', 'PROTOCOL_ERROR', frames.continuation(1, split)),
  ...endsIt(
    '6.10',
    'CONTINUATION on stream 0',
    'PROTOCOL_ERROR',
    frames.headers(1, RESPONSE, { endHeaders: false }),
    frames.continuation(0, bytes(0)),
  ),
  ...endsIt(
    '6.10',
    'CONTINUATION of another stream',
    'PROTOCOL_ERROR',
    frames.headers(1, RESPONSE, { endHeaders: false }),
    frames.continuation(3, bytes(0)),
  ),
  ...ofBoth((from) => ({
    section: '6.10',
    what: 'CONTINUATION after DATA',
    before: [...BOTH_SPEAK, [from, frames.data(1, 4)]],
    bytes: [frames.continuation(1, bytes(0))],
    verdict: { ends: 'PROTOCOL_ERROR' },
  })),
  {
    section: '6.10',
    what: 'a block in several CONTINUATIONs, some of them empty',
    step: [
      'client',
      frames.headers(1, split.subarray(0, 3), { end: true, endHeaders: false }),
      frames.continuation(1, bytes(0), { endHeaders: false }),
      frames.continuation(1, split.subarray(3, 9), { endHeaders: false }),
      frames.continuation(1, split.subarray(9)),
    ],
    verdict: { passes: ['HEADERS 1 END'] },
  },
  {
    section: '6.10',
    what: 'an answer in two frames',
    before: [['client', frames.headers(1, GRPC_REQUEST, { end: true })]],
    step: [
      'server',
      frames.headers(1, bytes(0), { end: true, endHeaders: false }),
      frames.continuation(1, block({ ...RESPONSE, 'grpc-status': '0' })),
    ],
    verdict: { passes: ['HEADERS 1 END'] },
  },
  {
    section: '6.10',
    what: 'more CONTINUATIONs than anybody needs',
    before: [ASKED],
    step: [
      'client',
      frames.headers(3, split, { endHeaders: false }),
      ...Array.from({ length: 17 }, () => frames.continuation(3, bytes(0), { endHeaders: false })),
    ],
    verdict: { ends: 'ENHANCE_YOUR_CALM' },
  },
  {
    section: '6.10',
    what: 'a header block without end',
    step: [
      'client',
      frames.headers(1, split, { endHeaders: false }),
      ...Array.from({ length: 5 }, () => frames.continuation(1, bytes(16_000), { endHeaders: false })),
    ],
    verdict: { ends: 'ENHANCE_YOUR_CALM' },
  },
];
