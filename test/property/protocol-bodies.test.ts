import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { relocateAgentCard } from '../../src/domain/a2a/agent-card.ts';
import { readPlainUrl } from '../../src/domain/a2a/agent-url.ts';
import { mayNotify, pushTargetsIn } from '../../src/domain/a2a/push-target.ts';
import { mayListTools, mayMatterAsRequest } from '../../src/domain/body-scan.ts';
import { parseStrictJson, type JsonObject } from '../../src/domain/canonical/strict-json.ts';
import { toolPagesIn } from '../../src/domain/mcp/tool-page.ts';
import { WatchedAnswer } from '../../src/dataplane/http1/watched-answer.ts';
import { protocolWorld, SEARCH } from '../support/protocol-world.ts';

const EVIL = 'https://evil.example/hook';

/** A name as JSON may have it: letters as they are, in the other case, or as escapes. */
function spelling(name: string): fc.Arbitrary<string> {
  const letters = name.split('').map((letter) => {
    const escaped = `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`;
    return fc.constantFrom(letter, letter.toUpperCase(), escaped, escaped.toUpperCase().replace('\\U', '\\u'));
  });
  return fc.tuple(...letters).map((parts) => `"${parts.join('')}"`);
}

const filler = fc.json({ maxDepth: 2 }).filter((text) => {
  try {
    parseStrictJson(text);
    return true;
  } catch {
    // Not strict JSON: such a request is refused for that, which is tried elsewhere.
    return false;
  }
});

test('a push target is found however its names are spelt, and whatever is around it', () => {
  const place = fc.constantFrom(
    'pushNotificationConfig',
    'taskPushNotificationConfig',
    'pushNotification',
    'push_notification',
  );
  const config = place.chain((name) => fc.tuple(spelling(name), spelling('url')));
  fc.assert(
    fc.property(config, filler, filler, fc.nat(3), ([name, url], before, after, depth) => {
      let body = `{"a":${before},${name}:{"b":${after},${url}:"${EVIL}"}}`;
      for (let level = 0; level < depth; level += 1) body = level % 2 === 0 ? `{"configuration":${body}}` : `[${body}]`;
      assert.equal(mayMatterAsRequest(Buffer.from(body)), true, body);
      assert.ok(pushTargetsIn(parseStrictJson(body), { isPushPath: false })?.includes(EVIL), body);
    }),
  );
});

test('a URL that may be notified names an agent of the mesh or a granted origin to every reader', () => {
  const rules = { isAgent: (host: string) => host === 'planner.mesh', granted: new Set(['https://hooks.example:443']) };
  const part = fc.constantFrom(
    'http://',
    'https://',
    'planner.mesh',
    'hooks.example',
    'evil.example',
    '@',
    ':',
    '/',
    '\\',
    '?',
    '#',
    '.',
    '%2e',
    '443',
    ' ',
    '\t',
    '\u3002',
    '[::1]',
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
      const url = parts.join('');
      if (!mayNotify(url, rules)) return;
      const { hostname, protocol } = new URL(url);
      const host = hostname.replace(/\.$/, '');
      assert.ok(
        (protocol === 'http:' && host === 'planner.mesh') || (protocol === 'https:' && host === 'hooks.example'),
        url,
      );
    }),
    { numRuns: 2000 },
  );
});

test('a card that can be moved has no address left that leads elsewhere', () => {
  const url = fc.oneof(
    fc.webUrl({ validSchemes: ['http', 'https'], withQueryParameters: true, withFragments: true }),
    fc.string({ maxLength: 40 }),
    fc.constantFrom('', '/a2a', '//evil.example', 'evil.example:443', 'grpcs://evil.example', null, 7),
  );
  const binding = fc.constantFrom('JSONRPC', 'GRPC', 'HTTP+JSON');
  const interfaces = fc.array(fc.record({ url, protocolBinding: binding }), { maxLength: 4 });
  fc.assert(
    fc.property(url, interfaces, interfaces, (own, supported, additional) => {
      const card = { name: 'r', url: own, supportedInterfaces: supported, additionalInterfaces: additional };
      let moved: JsonObject;
      try {
        moved = relocateAgentCard(parseStrictJson(JSON.stringify(card)) as JsonObject, '127.0.0.1:41001');
      } catch (error) {
        // Refused as a whole: nothing of it arrives.
        assert.match(String(error), /card\.|surrogate/);
        return;
      }
      const lists = [moved['supportedInterfaces'], moved['additionalInterfaces']] as unknown as {
        url: string | null;
      }[][];
      for (const found of [moved['url'] as string | null, ...lists.flat().map((each) => each.url)]) {
        if (found === null || found === '' || found === '127.0.0.1:41001') continue;
        const plain = readPlainUrl(found);
        assert.deepEqual([plain?.host, plain?.port], ['127.0.0.1', 41001], found);
        assert.equal(new URL(found).host, '127.0.0.1:41001');
      }
    }),
  );
});

test('a list of tools is found however its names are spelt, or the message is refused', () => {
  fc.assert(
    fc.property(spelling('result'), spelling('tools'), spelling('name'), filler, (result, tools, name, more) => {
      const body = `{"id":1,"more":${more},${result}:{${tools}:[{${name}:"evil"}]}}`;
      assert.equal(mayListTools(Buffer.from(body)), true, body);
      let pages: ReturnType<typeof toolPagesIn>;
      try {
        pages = toolPagesIn(parseStrictJson(body));
      } catch {
        // Refused: what some reader takes for a list, and another does not.
        return;
      }
      assert.equal(pages[0]?.tools[0]?.name, 'evil', body);
    }),
  );
});

test('events that are cut anywhere, with any line ends, let no changed tool through', () => {
  const evil = { id: 1, result: { tools: [SEARCH, { name: 'evil' }] } };
  const end = fc.constantFrom('\n', '\r\n', '\r');
  const field = fc.constantFrom(': ping', 'event: message', 'id: 7', 'data: {"id":2,"result":{}}', '');
  const headers = [['accept', 'application/json, text/event-stream']] as const;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(field, end), { maxLength: 6 }),
      end,
      fc.array(fc.nat(400), { maxLength: 6 }),
      (before, last, cuts) => {
        const lines = before.map(([text, lineEnd]) => text + lineEnd).join('');
        const stream = Buffer.from(`${lines}${last}data: ${JSON.stringify(evil)}${last}${last}`);
        const exchange = protocolWorld().exchange({ path: '/mcp', requestHeaders: headers });
        const watch = exchange?.response({ status: 200, headers: [['content-type', 'text/event-stream']] });
        if (watch === undefined) assert.fail('it is not read');
        const answer = new WatchedAnswer(watch);
        const at = [0, ...cuts.map((cut) => Math.min(cut, stream.length)).toSorted((a, b) => a - b), stream.length];
        const verdicts = at.slice(1).map((to, index) => answer.take(stream.subarray(at[index], to)));
        const all = [...verdicts, answer.end()];
        const refused = all.find((verdict) => !verdict.ok);
        if (refused === undefined || refused.ok) assert.fail('it came through');
        // Where the line ends make one event of several, that is no message at all.
        assert.match(refused.rejection.code, /^(?:TOOLS_DRIFT|CALL_ANSWER_UNREADABLE)$/);
        const passed = Buffer.concat(
          all.slice(0, all.indexOf(refused)).flatMap((verdict) => (verdict.ok ? [verdict.body] : [])),
        );
        assert.equal(passed.includes('evil'), false);
      },
    ),
  );
});
