import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mayListTools } from '../../../../src/domain/body-scan.ts';
import { digestJson } from '../../../../src/domain/canonical/digest.ts';
import { parseStrictJson } from '../../../../src/domain/canonical/strict-json.ts';
import { toolPagesIn, toolRequestsIn } from '../../../../src/domain/mcp/tool-page.ts';

const SEARCH = { name: 'search', description: 'Finds.', inputSchema: { type: 'object' } };

function pages(body: string | object) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  assert.equal(mayListTools(Buffer.from(text)), true, `not even looked at: ${text}`);
  return toolPagesIn(parseStrictJson(text));
}

test('an answer to tools/list is known by what it is', () => {
  const [page, ...more] = pages({ jsonrpc: '2.0', id: 7, result: { tools: [SEARCH], nextCursor: 'n' } });
  assert.equal(more.length, 0);
  assert.deepEqual([page?.id, page?.nextCursor], [7, 'n']);
  assert.deepEqual(
    page?.tools.map(({ name, digest }) => [name, digest]),
    [['search', digestJson(SEARCH)]],
  );
});

test('every answer of a batch is looked at', () => {
  const found = pages([
    { id: 1, result: { content: [] } },
    { id: 2, result: { tools: [] } },
    { id: 'x', result: { tools: [SEARCH] } },
  ]);
  assert.deepEqual(found.map(({ id, tools }) => [id, tools.length]), [[2, 0], ['x', 1]]); // prettier-ignore
});

test('requests, errors and other results have no tools', () => {
  for (const message of [
    { method: 'sampling/createMessage', params: { tools: [SEARCH] } },
    { id: 1, error: { data: { tools: [] } } },
    { id: 1, result: { content: [{ type: 'text', text: '{"tools":[]}' }], structuredContent: { tools: [] } } },
  ]) {
    assert.deepEqual(toolPagesIn(parseStrictJson(JSON.stringify(message))), []);
  }
});

test('what some client could take for a list of tools, and this is not sure to read alike, spoils the message', () => {
  const bad = [
    '{"id":1,"result":{"tools":{"0":{"name":"a"}}}}',
    '{"id":1,"result":{"tools":null}}',
    '{"id":1,"result":{"Tools":[{"name":"a"}]}}',
    '{"id":1,"Result":{"tools":[{"name":"a"}]}}',
    '{"id":1,"result":{"tools":[],"TOOLS":[{"name":"a"}]}}',
    '{"id":1,"result":{"tool\u017f":[{"name":"a"}]}}',
    '{"id":1,"result":{"tools":[{"Name":"a"}]}}',
    '{"id":1,"result":{"tools":[{"name":"a","NAME":"b"}]}}',
    '{"id":1,"result":{"tools":["search"]}}',
    '{"id":1,"result":{"tools":[{"description":"nameless"}]}}',
    '{"id":1,"result":{"tools":[{"name":""}]}}',
    '{"id":1,"result":{"tools":[{"name":"a"},{"name":"a"}]}}',
    '{"id":1,"result":{"tools":[],"nextCursor":7}}',
    `{"id":1,"result":{"tools":[{"name":"${'a'.repeat(257)}"}]}}`,
    `{"id":1,"result":{"tools":[${Array.from({ length: 513 }, (_, n) => `{"name":"t${n}"}`).join(',')}]}}`,
  ];
  for (const text of bad) assert.throws(() => pages(text), /tools|result|name|nextCursor/, text.slice(0, 80));
});

test('an escape does not hide a list from being looked at', () => {
  assert.equal(pages('{"id":1,"result":{"\\u0074ools":[]}}').length, 1);
  assert.equal(pages('{"id":1,"re\\u0073ult":{"t\\u006fols":[]}}').length, 1);
});

test('one definition has one digest, however it is written', () => {
  const [one] = pages('{"id":1,"result":{"tools":[{"name":"a","inputSchema":{"type":"object","x":1.0}}]}}');
  const [two] = pages('{"result":{"tools":[{ "inputSchema":{"x":1,"type":"\\u006fbject"},"name":"a"}]},"id":1}');
  assert.equal(one?.tools[0]?.digest, two?.tools[0]?.digest);
});

test('a look-alike in a name or a description is another tool', () => {
  const digest = (tool: object) => pages({ id: 1, result: { tools: [tool] } })[0]?.tools[0]?.digest;
  assert.notEqual(
    digest({ name: 'search', description: 'e\u0301' }),
    digest({ name: 'search', description: '\u00e9' }),
  );
  assert.notEqual(digest(SEARCH), digest({ ...SEARCH, description: 'Finds.\u200b' }));
});

test('a request for tools tells its page, by its id', () => {
  const asked = toolRequestsIn(
    parseStrictJson(
      JSON.stringify([
        { id: 1, method: 'tools/list' },
        { id: 'b', method: 'tools/list', params: { cursor: 'n' } },
        { id: 3, method: 'tools/call', params: {} },
        { method: 'tools/list' },
        { id: 4, method: 'tools/list', params: { cursor: 7 } },
      ]),
    ),
  );
  assert.deepEqual([...asked], [[1, undefined], ['b', 'n']]); // prettier-ignore
});
