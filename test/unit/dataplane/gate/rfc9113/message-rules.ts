import { block, frames, GRPC_REQUEST, REQUEST, RESPONSE, type Lines } from '../../../../support/http2-bytes.ts';
import { ANSWERED, ASKED, OPEN, type Rule, type Step } from './rule.ts';

type Pair = readonly [name: string, value: string];

/** The head of a request with some lines changed; `undefined` takes one out. */
function changed(lines: Readonly<Record<string, string | undefined>>): Pair[] {
  return Object.entries({ ...REQUEST, ...lines }).filter((pair): pair is [string, string] => pair[1] !== undefined);
}

/** The head of a request, and more behind it. */
function and(...pairs: readonly Pair[]): Pair[] {
  return [...Object.entries(REQUEST), ...pairs];
}

/** Nobody but the caller hears of it: stream errors of section 8.1.1. */
function badRequest(section: string, what: string, lines: Lines): Rule {
  return {
    section,
    what: `a request with ${what}`,
    step: ['client', frames.headers(1, lines, { end: true })],
    verdict: { resets: 1, with: 'PROTOCOL_ERROR', unknownToServer: true },
  };
}

function goodRequest(section: string, what: string, lines: Lines): Rule {
  const step: Step = ['client', frames.headers(1, lines, { end: true })];
  return { section, what: `a request with ${what}`, step, verdict: { passes: ['HEADERS 1 END'] } };
}

function resets(section: string, what: string, before: readonly Step[], ...step: Step): Rule {
  return { section, what, before, step, verdict: { resets: 1, with: 'PROTOCOL_ERROR' } };
}

function badAnswer(section: string, what: string, lines: Lines): Rule {
  return resets(section, `an answer with ${what}`, [OPEN], 'server', frames.headers(1, lines));
}

function passes(section: string, what: string, before: readonly Step[], step: Step, ...lines: string[]): Rule {
  return { section, what, before, step, verdict: { passes: lines } };
}

/** Octets that no name or value may have, one by one. */
const CONTROLS = [...Array.from({ length: 32 }, (_, code) => code).filter((code) => code !== 9), 127];
const NAME_STRANGERS = [...CONTROLS, 9, ...Buffer.from(' "(),/:;<=>?@[\\]{}A', 'latin1'), 0x80, 0xff];
const hex = (code: number): string => `0x${code.toString(16).padStart(2, '0')}`;
const CONNECTION_LINES: readonly Pair[] = [
  ['connection', 'keep-alive'],
  ['proxy-connection', 'close'],
  ['keep-alive', 'timeout=5'],
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'h2c'],
  ['te', 'trailers, deflate'],
  ['te', ''],
];

/** Sections 8.2 and 8.3: single fields. What holds for a head holds for trailers. */
const FIELD_RULES: readonly Rule[] = [
  ...NAME_STRANGERS.flatMap((code): Rule[] => {
    const name = `x${String.fromCharCode(code)}y`;
    return [
      badRequest('8.2.1', `${hex(code)} in a name`, and([name, 'v'])),
      badAnswer('8.2.1', `${hex(code)} in a name`, [
        [':status', '200'],
        [name, 'v'],
      ]),
    ];
  }),
  ...CONTROLS.flatMap((code): Rule[] => {
    const value = `a${String.fromCharCode(code)}b`;
    return [
      badRequest('8.2.1', `${hex(code)} in a value`, and(['x-value', value])),
      badRequest('8.2.1', `${hex(code)} in the path`, changed({ ':path': `/${value}` })),
      badAnswer('8.2.1', `${hex(code)} in a value`, [
        [':status', '200'],
        ['x-value', value],
      ]),
    ];
  }),
  ...[' v', 'v ', '\tv', 'v\t', ' '].flatMap((value): Rule[] => [
    badRequest('8.2.1', `blanks around a value, ${JSON.stringify(value)}`, and(['x-value', value])),
    badAnswer('8.2.1', `blanks around a value, ${JSON.stringify(value)}`, [
      [':status', '200'],
      ['x-value', value],
    ]),
  ]),
  badRequest('8.2.1', 'a name of no octets', and(['', 'v'])),
  badRequest('8.2.1', 'a pseudo-header of no name', and([':', 'v'])),
  goodRequest('8.2.1', 'a value with blanks, tabs and octets beyond ASCII', and(['x-value', 'a\tb c \xe4\xff'])),
  goodRequest('8.2.1', 'an empty value', and(['x-value', ''])),
  ...CONNECTION_LINES.flatMap((line): Rule[] => [
    badRequest('8.2.2', line.join(': '), and(line)),
    badAnswer('8.2.2', line.join(': '), [[':status', '200'], line]),
    resets(
      '8.2.2',
      `trailers of a request with ${line.join(': ')}`,
      [OPEN],
      'client',
      frames.headers(1, [line], { end: true }),
    ),
    resets(
      '8.2.2',
      `trailers of an answer with ${line.join(': ')}`,
      [OPEN, ANSWERED],
      'server',
      frames.headers(1, [line], { end: true }),
    ),
  ]),
  goodRequest('8.2.2', 'te: trailers', GRPC_REQUEST),
  goodRequest('8.2.3', 'a cookie in crumbs', and(['cookie', 'a=1'], ['cookie', 'b=2'])),
];

const PSEUDO_RULES: readonly Rule[] = [
  badRequest('8.3', 'an unknown pseudo-header', [[':strange', '1'], ...and()]),
  badRequest('8.3', 'a pseudo-header of answers', [[':status', '200'], ...and()]),
  badRequest('8.3', 'a pseudo-header behind a field', [['x-first', '1'], ...and()]),
  badRequest('8.3', 'a pseudo-header between fields', [
    [':method', 'GET'],
    [':scheme', 'http'],
    ['x-first', '1'],
    [':path', '/'],
  ]),
  ...[':method', ':scheme', ':path'].flatMap((name): Rule[] => [
    badRequest('8.3.1', `no ${name}`, changed({ [name]: undefined })),
    badRequest('8.3.1', `an empty ${name}`, changed({ [name]: '' })),
    badRequest('8.3.1', `${name} twice`, [[name, REQUEST[name] ?? ''], ...and()]),
  ]),
  badRequest('8.3.1', ':authority twice', [[':authority', 'callee'], ...and()]),
  badRequest('8.3.1', 'nothing at all', []),
  badRequest('8.3.1', 'a method that is none', changed({ ':method': 'GE T' })),
  badRequest('8.3.1', 'a scheme that is none of ours', changed({ ':scheme': 'ftp' })),
  badRequest('8.3.1', 'a path that does not begin with a slash', changed({ ':path': 'a.Service/Call' })),
  badRequest('8.3.1', 'a path that is a whole address', changed({ ':path': 'http://callee/a' })),
  badRequest('8.3.1', 'a blank in the path', changed({ ':path': '/a HTTP/1.1' })),
  badRequest('8.3.1', 'a tab in the path', changed({ ':path': '/a\tb' })),
  badRequest('8.3.1', 'a fragment in the path', changed({ ':path': '/a#b' })),
  badRequest('8.3.1', 'an asterisk for another method than OPTIONS', changed({ ':path': '*' })),
  goodRequest('8.3.1', 'an asterisk for OPTIONS', changed({ ':method': 'OPTIONS', ':path': '*' })),
  badRequest('8.3.1', 'user information', changed({ ':authority': 'user:word@callee' })),
  badRequest('8.3.1', 'a blank in the authority', changed({ ':authority': 'callee evil' })),
  badRequest('8.3.1', 'a path in the authority', changed({ ':authority': 'callee/admin' })),
  goodRequest('8.3.1', 'an authority with a port', changed({ ':authority': '[::1]:8080' })),
  badRequest('8.3.1', 'a host that is not the authority', and(['host', 'other'])),
  badRequest('8.3.1', 'two hosts', and(['host', 'callee'], ['host', 'callee'])),
  goodRequest('8.3.1', 'a host and no authority', [...changed({ ':authority': undefined }), ['host', 'callee']]),
  goodRequest('8.3.1', 'neither host nor authority', changed({ ':authority': undefined })),
  badRequest('8.5', 'CONNECT', [
    [':method', 'CONNECT'],
    [':authority', 'db:5432'],
  ]),
  badRequest('8.5', 'extended CONNECT', [[':protocol', 'websocket'], ...changed({ ':method': 'CONNECT' })]),
  badRequest('8.5', 'CONNECT that looks like any request', changed({ ':method': 'CONNECT' })),

  badAnswer('8.3.2', 'no :status', [['x-only', '1']]),
  badAnswer('8.3.2', 'nothing at all', []),
  ...['', '20', '2000', 'abc', '099', '2 0', '+20', '\u00b2\u00b2\u00b2'].map((status) =>
    badAnswer('8.3.2', `:status ${JSON.stringify(status)}`, { ':status': status }),
  ),
  badAnswer('8.3.2', ':status twice', [
    [':status', '200'],
    [':status', '200'],
  ]),
  badAnswer('8.3.2', ':status behind a field', [
    ['x-first', '1'],
    [':status', '200'],
  ]),
  badAnswer('8.3.2', 'a pseudo-header of requests', [
    [':status', '200'],
    [':path', '/'],
  ]),
  badAnswer('8.6', 'status 101', { ':status': '101' }),
];

const asked = (length: string, { end = false } = {}): Step => [
  'client',
  frames.headers(1, and(['content-length', length]), { end }),
];
const answered = (length: string): Step => [
  'server',
  frames.headers(1, { ':status': '200', 'content-length': length }),
];
const ASKED_HEAD: Step = ['client', frames.headers(1, changed({ ':method': 'HEAD' }), { end: true })];

const LENGTH_RULES: readonly Rule[] = [
  ...['', '-1', '+1', '1.0', '0x1', '1 1', '1,1', '9'.repeat(16)].flatMap((length): Rule[] => [
    badRequest('8.1.1', `content-length ${JSON.stringify(length)}`, and(['content-length', length])),
    badAnswer('8.1.1', `content-length ${JSON.stringify(length)}`, { ':status': '200', 'content-length': length }),
  ]),
  badRequest('8.1.1', 'two lengths', and(['content-length', '0'], ['content-length', '1'])),
  badAnswer('8.1.1', 'two lengths', [
    [':status', '200'],
    ['content-length', '0'],
    ['content-length', '1'],
  ]),
  badRequest('8.1.1', 'a length and no DATA', and(['content-length', '5'])),
  resets('8.1.1', 'more DATA than a request said', [asked('5')], 'client', frames.data(1, 6)),
  resets('8.1.1', 'DATA where a request said there is none', [asked('0')], 'client', frames.data(1, 1)),
  resets('8.1.1', 'less DATA than a request said', [asked('5')], 'client', frames.data(1, 4, { end: true })),
  resets(
    '8.1.1',
    'an empty end before the length of a request',
    [asked('5')],
    'client',
    frames.data(1, 0, { end: true }),
  ),
  resets(
    '8.1.1',
    'trailers before the length of a request',
    [asked('5')],
    'client',
    frames.headers(1, { 'x-sum': '1' }, { end: true }),
  ),
  passes(
    '8.1.1',
    'just as much DATA as a request said',
    [asked('5'), ['client', frames.data(1, 2)]],
    ['client', frames.data(1, 3, { end: true })],
    'DATA 1 3 END',
  ),
  resets('8.1.1', 'more DATA than an answer said', [OPEN, answered('5')], 'server', frames.data(1, 6)),
  resets('8.1.1', 'less DATA than an answer said', [OPEN, answered('5')], 'server', frames.data(1, 4, { end: true })),
  resets(
    '8.1.1',
    'trailers before the length of an answer',
    [OPEN, answered('5')],
    'server',
    frames.headers(1, { 'x-sum': '1' }, { end: true }),
  ),
  resets(
    '8.1.1',
    'an answer that says a length, and ends',
    [OPEN],
    'server',
    frames.headers(1, { ':status': '200', 'content-length': '5' }, { end: true }),
  ),
  passes(
    '8.1.1',
    'just as much DATA as an answer said',
    [OPEN, answered('5')],
    ['server', frames.data(1, 5, { end: true })],
    'DATA 1 5 END',
  ),
  passes(
    '8.1.1',
    'an answer to HEAD says the length of what does not come',
    [ASKED_HEAD],
    ['server', frames.headers(1, { ':status': '200', 'content-length': '5' }, { end: true })],
    'HEADERS 1 END',
  ),
  passes(
    '8.1.1',
    'so does 304',
    [ASKED],
    ['server', frames.headers(1, { ':status': '304', 'content-length': '5' }, { end: true })],
    'HEADERS 1 END',
  ),
];

const INFORMATION: Step = ['server', frames.headers(1, { ':status': '103', link: '</a>' })];

/** Section 8.1: the order of heads, DATA and trailers. */
const ORDER_RULES: readonly Rule[] = [
  passes('8.1', 'information ahead of an answer', [ASKED], INFORMATION, 'HEADERS 1'),
  passes(
    '8.1',
    'information more than once, then the answer',
    [ASKED, INFORMATION, INFORMATION],
    ['server', frames.headers(1, RESPONSE)],
    'HEADERS 1',
  ),
  resets(
    '8.1',
    'information that ends the stream',
    [OPEN],
    'server',
    frames.headers(1, { ':status': '103' }, { end: true }),
  ),
  resets('8.1', 'information behind the head of an answer', [OPEN, ANSWERED], ...INFORMATION),
  resets('8.1', 'a second head of an answer', [OPEN, ANSWERED], ...ANSWERED),
  resets('8.1', 'DATA ahead of an answer', [OPEN], 'server', frames.data(1, 4)),
  resets('8.1', 'DATA behind nothing but information', [OPEN, INFORMATION], 'server', frames.data(1, 4)),
  resets('8.1', 'empty DATA ahead of an answer', [OPEN], 'server', frames.data(1, 0)),
  resets('8.1', 'the end of a stream ahead of an answer', [OPEN], 'server', frames.data(1, 0, { end: true })),
  resets('8.1', 'trailers of a request that do not end it', [OPEN], 'client', frames.headers(1, { 'x-sum': '1' })),
  resets(
    '8.1',
    'trailers of an answer that do not end it',
    [OPEN, ANSWERED],
    'server',
    frames.headers(1, { 'x-sum': '1' }),
  ),
  resets(
    '8.1',
    'trailers of a request with a pseudo-header',
    [OPEN],
    'client',
    frames.headers(1, { ':path': '/b' }, { end: true }),
  ),
  resets(
    '8.1',
    'trailers of an answer with a pseudo-header',
    [OPEN, ANSWERED],
    'server',
    frames.headers(1, { ':status': '200' }, { end: true }),
  ),
  passes(
    '8.1',
    'trailers of a request',
    [OPEN, ['client', frames.data(1, 4)]],
    ['client', frames.headers(1, { 'x-sum': '1' }, { end: true })],
    'HEADERS 1 END',
  ),
  passes(
    '8.1',
    'trailers without a field',
    [OPEN, ANSWERED],
    ['server', frames.headers(1, block([]), { end: true })],
    'HEADERS 1 END',
  ),
  passes(
    '8.1',
    'trailers of an answer',
    [OPEN, ANSWERED, ['server', frames.data(1, 4)]],
    ['server', frames.headers(1, { 'grpc-status': '0' }, { end: true })],
    'HEADERS 1 END',
  ),
  {
    section: '8.1',
    what: 'DATA ahead of an answer is given back',
    before: [ASKED],
    step: ['server', frames.data(1, 4)],
    verdict: { client: ['RST_STREAM 1 PROTOCOL_ERROR'], server: ['RST_STREAM 1 PROTOCOL_ERROR', 'WINDOW_UPDATE 0 4'] },
  },
];

/** Section 8: what a message may look like. */
export const MESSAGE_RULES: readonly Rule[] = [...FIELD_RULES, ...PSEUDO_RULES, ...LENGTH_RULES, ...ORDER_RULES];
