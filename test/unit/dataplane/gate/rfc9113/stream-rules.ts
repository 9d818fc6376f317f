import { ERROR_CODE, MAX_31_BITS, SETTING } from '../../../../../src/dataplane/http2/protocol.ts';
import { frame, frames, REQUEST, RESPONSE } from '../../../../support/http2-bytes.ts';
import { ANSWERED, ASKED, CLIENT_RESET, FINISHED, OPEN, SERVER_RESET, type Rule, type Step } from './rule.ts';

/** Stream 1 is over, and both sides have said so. */
const OVER: readonly Step[] = [ASKED, FINISHED];
const TRAILERS = { 'x-checksum': 'ab' };

function endsIt(
  section: string,
  what: string,
  before: readonly Step[],
  step: Step,
  code: 'PROTOCOL_ERROR' | 'STREAM_CLOSED' | 'FLOW_CONTROL_ERROR',
): Rule {
  return { section, what, before, step, verdict: { ends: code } };
}

function passes(section: string, what: string, before: readonly Step[], step: Step, ...lines: string[]): Rule {
  return { section, what, before, step, verdict: { passes: lines } };
}

function isIgnored(section: string, what: string, before: readonly Step[], step: Step): Rule {
  return { section, what, before, step, verdict: 'ignored' };
}

/** Section 5.1: what may come in which state of a stream. */
const STATE_RULES: readonly Rule[] = [
  endsIt('5.1', 'idle: DATA of a client', [], ['client', frames.data(1, 4)], 'PROTOCOL_ERROR'),
  endsIt('5.1', 'idle: empty DATA of a client', [], ['client', frames.data(1, 0)], 'PROTOCOL_ERROR'),
  endsIt('5.1', 'idle: padding of a client', [], ['client', frames.paddedData(1, 0, 9)], 'PROTOCOL_ERROR'),
  endsIt('5.1', 'idle: RST_STREAM of a client', [], ['client', frames.reset(1)], 'PROTOCOL_ERROR'),
  endsIt('5.1', 'idle: WINDOW_UPDATE of a client', [], ['client', frames.windowUpdate(1, 1)], 'PROTOCOL_ERROR'),
  endsIt('5.1', 'idle: DATA of a server', [], ['server', frames.data(1, 4)], 'PROTOCOL_ERROR'),
  endsIt('5.1', 'idle: empty DATA of a server', [], ['server', frames.data(1, 0)], 'PROTOCOL_ERROR'),
  endsIt('5.1', 'idle: HEADERS of a server', [], ['server', frames.headers(1, RESPONSE)], 'PROTOCOL_ERROR'),
  endsIt('5.1', 'idle: RST_STREAM of a server', [], ['server', frames.reset(1)], 'PROTOCOL_ERROR'),
  endsIt('5.1', 'idle: WINDOW_UPDATE of a server', [], ['server', frames.windowUpdate(1, 1)], 'PROTOCOL_ERROR'),

  passes('5.1', 'open: DATA', [OPEN], ['client', frames.data(1, 4)], 'DATA 1 4'),
  passes('5.1', 'open: the end of the request', [OPEN], ['client', frames.data(1, 0, { end: true })], 'DATA 1 0 END'),
  passes('5.1', 'open: an answer that is complete before the request', [OPEN], FINISHED, 'HEADERS 1 END'),
  passes(
    '5.1',
    'open: DATA goes on after the answer is complete',
    [OPEN, FINISHED],
    ['client', frames.data(1, 4)],
    'DATA 1 4',
  ),
  passes(
    '5.1',
    'open: the callee stops a request that it has answered',
    [OPEN, FINISHED],
    ['server', frames.reset(1, ERROR_CODE.NO_ERROR)],
    'RST_STREAM 1 NO_ERROR',
  ),

  endsIt('5.1', 'half-closed: DATA of a client', [ASKED], ['client', frames.data(1, 4)], 'STREAM_CLOSED'),
  endsIt('5.1', 'half-closed: empty DATA of a client', [ASKED], ['client', frames.data(1, 0)], 'STREAM_CLOSED'),
  endsIt(
    '5.1',
    'half-closed: HEADERS of a client',
    [ASKED],
    ['client', frames.headers(1, REQUEST, { end: true })],
    'STREAM_CLOSED',
  ),
  passes(
    '5.1',
    'half-closed: WINDOW_UPDATE of a client',
    [ASKED],
    ['client', frames.windowUpdate(1, 9)],
    'WINDOW_UPDATE 1 9',
  ),
  passes('5.1', 'half-closed: RST_STREAM of a client', [ASKED], CLIENT_RESET, 'RST_STREAM 1 CANCEL'),
  isIgnored('5.1', 'half-closed: PRIORITY of a client', [ASKED], ['client', frames.priority(1)]),
  endsIt('5.1', 'half-closed: DATA of a server', [OPEN, FINISHED], ['server', frames.data(1, 4)], 'STREAM_CLOSED'),
  endsIt(
    '5.1',
    'half-closed: empty DATA of a server',
    [OPEN, FINISHED],
    ['server', frames.data(1, 0)],
    'STREAM_CLOSED',
  ),
  endsIt(
    '5.1',
    'half-closed: HEADERS of a server',
    [OPEN, FINISHED],
    ['server', frames.headers(1, RESPONSE)],
    'STREAM_CLOSED',
  ),
  passes(
    '5.1',
    'half-closed: WINDOW_UPDATE of a server',
    [OPEN, FINISHED],
    ['server', frames.windowUpdate(1, 9)],
    'WINDOW_UPDATE 1 9',
  ),

  endsIt('5.1', 'closed: DATA of a client', OVER, ['client', frames.data(1, 4)], 'STREAM_CLOSED'),
  endsIt('5.1', 'closed: HEADERS of a client', OVER, ['client', frames.headers(1, REQUEST)], 'STREAM_CLOSED'),
  isIgnored('5.1', 'closed: WINDOW_UPDATE of a client', OVER, ['client', frames.windowUpdate(1, 9)]),
  isIgnored('5.1', 'closed: RST_STREAM of a client', OVER, CLIENT_RESET),
  isIgnored('5.1', 'closed: PRIORITY of a client', OVER, ['client', frames.priority(1)]),
  isIgnored('5.1', 'closed: WINDOW_UPDATE of a server', OVER, ['server', frames.windowUpdate(1, 9)]),
  isIgnored('5.1', 'closed: RST_STREAM of a server', OVER, SERVER_RESET),
  {
    section: '5.1',
    what: 'closed: DATA of a server goes nowhere, and is given back',
    before: OVER,
    step: ['server', frames.data(1, 4)],
    verdict: { client: [], server: ['WINDOW_UPDATE 0 4'] },
  },

  // Whoever resets a stream may still get what was on its way (last paragraphs of the section).
  {
    section: '5.1',
    what: 'reset by the callee: DATA on its way is given back',
    before: [OPEN, SERVER_RESET],
    step: ['client', frames.data(1, 40)],
    verdict: { client: ['WINDOW_UPDATE 0 40'], server: [] },
  },
  {
    section: '5.1',
    what: 'reset by the callee: padding on its way is given back',
    before: [OPEN, SERVER_RESET],
    step: ['client', frames.paddedData(1, 40, 9)],
    verdict: { client: ['WINDOW_UPDATE 0 50'], server: [] },
  },
  isIgnored(
    '5.1',
    'reset by the callee: trailers on their way',
    [OPEN, SERVER_RESET],
    ['client', frames.headers(1, TRAILERS, { end: true })],
  ),
  isIgnored(
    '5.1',
    'reset by the callee: WINDOW_UPDATE on its way',
    [OPEN, SERVER_RESET],
    ['client', frames.windowUpdate(1, 5)],
  ),
  isIgnored('5.1', 'reset by the callee: RST_STREAM on its way', [OPEN, SERVER_RESET], CLIENT_RESET),
  {
    section: '5.1',
    what: 'reset by the caller: DATA on its way is given back',
    before: [OPEN, ANSWERED, CLIENT_RESET],
    step: ['server', frames.data(1, 40, { end: true })],
    verdict: { client: [], server: ['WINDOW_UPDATE 0 40'] },
  },
  isIgnored('5.1', 'reset by the caller: the answer on its way', [OPEN, CLIENT_RESET], FINISHED),
  isIgnored(
    '5.1',
    'reset by the caller: WINDOW_UPDATE on its way',
    [OPEN, CLIENT_RESET],
    ['server', frames.windowUpdate(1, 5)],
  ),
  isIgnored('5.1', 'reset by the caller: RST_STREAM on its way', [OPEN, CLIENT_RESET], SERVER_RESET),
];

const ID_RULES: readonly Rule[] = [
  endsIt('5.1.1', 'a client opens an even stream', [], ['client', frames.headers(2, REQUEST)], 'PROTOCOL_ERROR'),
  endsIt(
    '5.1.1',
    'a server answers on an even stream',
    [OPEN],
    ['server', frames.headers(2, RESPONSE)],
    'PROTOCOL_ERROR',
  ),
  endsIt('5.1.1', 'a client resets an even stream', [OPEN], ['client', frames.reset(2)], 'PROTOCOL_ERROR'),
  endsIt(
    '5.1.1',
    'a client sends DATA on an even stream',
    [['client', frames.headers(5, REQUEST)]],
    ['client', frames.data(4, 1)],
    'PROTOCOL_ERROR',
  ),
  endsIt(
    '5.1.1',
    'a stream below one that was opened',
    [['client', frames.headers(5, REQUEST)]],
    ['client', frames.headers(3, REQUEST)],
    'PROTOCOL_ERROR',
  ),
  passes('5.1.1', 'streams may be passed over', [], ['client', frames.headers(77, REQUEST)], 'HEADERS 77'),
  passes(
    '5.1.1',
    'the reserved bit is no part of the stream',
    [],
    ['client', frames.headers(0x8000_0001, REQUEST)],
    'HEADERS 1',
  ),
  {
    section: '5.1.2',
    what: 'more streams than were allowed are refused, and heard of by nobody else',
    before: Array.from({ length: 100 }, (_, index): Step => ['client', frames.headers(2 * index + 1, REQUEST)]),
    step: ['client', frames.headers(201, REQUEST), frames.data(201, 9, { end: true }), frames.reset(1)],
    verdict: { client: ['RST_STREAM 201 REFUSED_STREAM', 'WINDOW_UPDATE 0 9'], server: ['RST_STREAM 1 CANCEL'] },
  },
];

const GOAWAY_RULES: readonly Rule[] = [
  {
    section: '6.8',
    what: 'GOAWAY of a client says nothing about its own streams',
    before: [OPEN],
    step: ['client', frames.goaway(8)],
    verdict: { passes: ['GOAWAY 0 NO_ERROR'] },
  },
  passes(
    '6.8',
    'GOAWAY of a server, without what it says to debuggers',
    [],
    ['server', frames.goaway(MAX_31_BITS, ERROR_CODE.NO_ERROR, 'secret')],
    `GOAWAY ${MAX_31_BITS} NO_ERROR`,
  ),
  passes(
    '6.8',
    'what stands in a GOAWAY is never raised',
    [['server', frames.goaway(3001)]],
    ['server', frames.goaway(4001)],
    'GOAWAY 3001 NO_ERROR',
  ),
  {
    section: '6.8',
    what: 'a stream that comes after GOAWAY is refused, and may be tried elsewhere',
    before: [['server', frames.goaway(2001)]],
    closing: true,
    step: ['client', frames.headers(2003, REQUEST), frames.reset(2003)],
    verdict: { client: ['RST_STREAM 2003 REFUSED_STREAM'], server: [] },
  },
];

const settings = (...entries: readonly (readonly [number, number])[]) => frames.settings(...entries);

const SETTING_RULES: readonly Rule[] = [
  ...(['client', 'server'] as const).flatMap((from): Rule[] => [
    {
      section: '6.5.2',
      what: `ENABLE_PUSH 2 of a ${from}`,
      step: [from, settings([SETTING.enablePush, 2])],
      verdict: { ends: 'PROTOCOL_ERROR' },
    },
    {
      section: '6.5.2',
      what: `INITIAL_WINDOW_SIZE of 2³¹ of a ${from}`,
      step: [from, settings([SETTING.initialWindowSize, 2 ** 31])],
      verdict: { ends: 'FLOW_CONTROL_ERROR' },
    },
    {
      section: '6.5.2',
      what: `MAX_FRAME_SIZE below the smallest of a ${from}`,
      step: [from, settings([SETTING.maxFrameSize, 16_383])],
      verdict: { ends: 'PROTOCOL_ERROR' },
    },
    {
      section: '6.5.2',
      what: `MAX_FRAME_SIZE above the largest of a ${from}`,
      step: [from, settings([SETTING.maxFrameSize, 2 ** 24])],
      verdict: { ends: 'PROTOCOL_ERROR' },
    },
    {
      section: '6.5.2',
      what: `a bad value behind a good one of a ${from}`,
      step: [from, settings([SETTING.maxFrameSize, 16_384], [SETTING.maxFrameSize, 0])],
      verdict: { ends: 'PROTOCOL_ERROR' },
    },
    {
      section: '6.5.2',
      what: `settings that nobody knows of a ${from} are not passed on`,
      step: [from, settings([0x8, 1], [0xabcd, 7])],
      verdict: { passes: ['SETTINGS'] },
    },
    {
      section: '6.5.2',
      what: `the size of the table of a ${from} is between it and us`,
      step: [from, settings([SETTING.headerTableSize, 0])],
      verdict: { passes: ['SETTINGS'] },
    },
    {
      section: '6.5.3',
      what: `an acknowledgement that nobody waits for, of a ${from}`,
      step: [from, frames.settingsAck()],
      verdict: { ends: 'PROTOCOL_ERROR' },
    },
    {
      section: '6.5.3',
      what: `an acknowledgement of a ${from}`,
      before: [[from === 'client' ? 'server' : 'client', settings()]],
      step: [from, frames.settingsAck()],
      verdict: { passes: ['SETTINGS ACK'] },
    },
    {
      section: '6.9.1',
      what: `the window of the connection overflows by a ${from}`,
      step: [from, frames.windowUpdate(0, MAX_31_BITS)],
      verdict: { ends: 'FLOW_CONTROL_ERROR' },
    },
    {
      section: '6.9.1',
      what: `the window of a stream overflows by a ${from}`,
      before: [OPEN],
      step: [from, frames.windowUpdate(1, MAX_31_BITS)],
      verdict: { resets: 1, with: 'FLOW_CONTROL_ERROR' },
    },
    {
      section: '6.9.2',
      what: `SETTINGS of a ${from} make the window of a stream overflow`,
      before: [OPEN, [from, frames.windowUpdate(1, MAX_31_BITS - 65_535)]],
      step: [from, settings([SETTING.initialWindowSize, 65_536])],
      verdict: { ends: 'FLOW_CONTROL_ERROR' },
    },
    {
      section: '6.9.2',
      what: `SETTINGS of a ${from} fill the window of a stream to the brim`,
      before: [OPEN, [from, frames.windowUpdate(1, MAX_31_BITS - 65_537)]],
      step: [from, settings([SETTING.initialWindowSize, 65_537])],
      verdict: { passes: ['SETTINGS 4=65537'] },
    },
    {
      section: '6.9.2',
      what: `windows below zero, and above again, by a ${from}`,
      before: [
        OPEN,
        ANSWERED,
        [from === 'client' ? 'server' : 'client', frames.data(1, 16_000)],
        [from, settings([SETTING.initialWindowSize, 0])],
      ],
      step: [from, frames.windowUpdate(1, 70_000)],
      verdict: { passes: ['WINDOW_UPDATE 1 70000'] },
    },
  ]),
  {
    section: '6.5.2',
    what: 'ENABLE_PUSH 1 of a server',
    step: ['server', settings([SETTING.enablePush, 1])],
    verdict: { ends: 'PROTOCOL_ERROR' },
  },
  passes('6.5.2', 'ENABLE_PUSH 0 of a server', [], ['server', settings([SETTING.enablePush, 0])], 'SETTINGS'),
  passes(
    '6.5.2',
    'a client that would take pushes gets none',
    [],
    ['client', settings([SETTING.enablePush, 1])],
    'SETTINGS',
  ),
  passes(
    '5.1.2',
    'fewer streams than we allow',
    [],
    ['server', settings([SETTING.maxConcurrentStreams, 7])],
    'SETTINGS 3=7',
  ),
  passes(
    '5.1.2',
    'more streams than we allow',
    [],
    ['server', settings([SETTING.maxConcurrentStreams, 7000])],
    'SETTINGS 3=100',
  ),
  passes(
    '5.1.2',
    'how many pushes a client takes',
    [],
    ['client', settings([SETTING.maxConcurrentStreams, 7])],
    'SETTINGS',
  ),
  // RFC 9218, section 2.1: only the first SETTINGS may say it, and those the client had from us.
  passes(
    '6.5.2',
    'NO_RFC7540_PRIORITIES of a server is not passed on',
    [],
    ['server', settings([SETTING.noRfc7540Priorities, 1])],
    'SETTINGS',
  ),
];

const PRIORITY_UPDATE = frame(0x10, { payload: Buffer.from([0, 0, 0, 1, 0x75]) });

/** Sections 5, 6.5, 6.8 and 6.9: what frames mean together. */
export const STREAM_RULES: readonly Rule[] = [
  ...STATE_RULES,
  ...ID_RULES,
  ...GOAWAY_RULES,
  ...SETTING_RULES,
  isIgnored('5.3', 'PRIORITY_UPDATE, which RFC 9218 has in its place', [OPEN], ['client', PRIORITY_UPDATE]),
];
