import assert from 'node:assert/strict';
import { PassThrough, type Duplex } from 'node:stream';
import { mock, test } from 'node:test';
import { recognise, type Protocol } from '../../../src/dataplane/first-words.ts';

/** A stream that says something piece by piece, each in its own turn. */
function saying(pieces: readonly string[], { ends = false } = {}): Duplex {
  const stream = new PassThrough();
  const [first, ...rest] = pieces;
  if (first !== undefined) stream.write(Buffer.from(first, 'latin1'));
  const next = () => {
    const piece = rest.shift();
    if (piece !== undefined) {
      stream.write(Buffer.from(piece, 'latin1'));
      setImmediate(next);
    } else if (ends) stream.end();
  };
  setImmediate(next);
  return stream;
}

const CASES: readonly (readonly [string, Protocol])[] = [
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'http2'],
  ['GET / HTTP/1.1\r\n', 'http1'],
  ['POST /a HTTP/1.1\r\n', 'http1'],
  ['OPTIONS * HTTP/1.1\r\n', 'http1'],
  ['GET nonsense', 'http1'],
  ['GET\t/\r\n', 'http1'],
  ['\r\n\r\nGET / HTTP/1.1\r\n', 'http1'],
  [' GET / HTTP/1.1\r\n', 'http1'],
  ['get / HTTP/1.1\r\n', 'http1'],
  ['FROB /x HTTP/1.0\r\n', 'http1'],
  ['FROB http://a/x HTTP/1.0\n', 'http1'],
  ['PRX * HTTP/2.0\r\n', 'http1'],
  ['CONNECT a:80 HTTP/1.1\r\n', 'connect'],
  ['CONNECT {"verbose":true}\r\n', 'other'],
  ['raw bytes', 'other'],
  ['EHLO mail.example\r\n', 'other'],
  ['FROB /x\r\n', 'other'],
  ['hello\n', 'other'],
  ['{"jsonrpc":"2.0"}\n', 'other'],
  ['*1\r\n$4\r\nPING\r\n', 'other'],
  ['\x16\x03\x01', 'tls'],
  ['\0', 'other'],
];

for (const [words, protocol] of CASES) {
  test(`${JSON.stringify(words)} is ${protocol}, however it is cut`, async () => {
    assert.equal(await recognise(saying([words])), protocol);
    assert.equal(await recognise(saying(words.split(''))), protocol, 'byte by byte');
  });
}

test('what was looked at is still there', async () => {
  const stream = saying(['GE', 'T / HTT']);
  assert.equal(await recognise(stream), 'http1');
  assert.match(String(stream.read()), /^GET \//);
});

test('a word that could yet become a request is not taken for another protocol, until it ends or takes too long', async (t) => {
  assert.equal(await recognise(saying(['FROB'], { ends: true }).resume()), 'other');
  t.after(() => mock.timers.reset());
  mock.timers.enable({ apis: ['setTimeout'] });
  const slow = new PassThrough();
  slow.write('FROB /x');
  const verdict = recognise(slow);
  await new Promise((resolve) => setImmediate(resolve));
  mock.timers.tick(99);
  slow.write(' HT');
  await new Promise((resolve) => setImmediate(resolve));
  mock.timers.tick(1);
  assert.equal(await verdict, 'unclear');
});

test('an end without a word is nothing; silence within the time is silent', async () => {
  assert.equal(await recognise(saying([], { ends: true })), 'nothing');
  assert.equal(await recognise(new PassThrough(), { withinMs: 5 }), 'silent');
});

test('a server that speaks first decides', async () => {
  const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]).toString('latin1');
  assert.equal(await recognise(new PassThrough(), { server: saying([settings]) }), 'http2');
  assert.equal(await recognise(new PassThrough(), { server: saying(['220 mail.example\r\n']) }), 'other');
});
