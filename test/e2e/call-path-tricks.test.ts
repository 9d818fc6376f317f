import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CallMesh } from '../support/call-mesh.ts';
import { get } from '../support/raw-http2.ts';

test('no spelling of a path leads past a grant that lists calls', async (t) => {
  const world = await CallMesh.start(t, {
    calls: ['GET /docs/**', 'POST /search.v1.Search/*', 'GET /items/*/view', 'GET /plain'],
  });
  const { taken } = world;
  const connection = world.connect();
  let stream = -1;
  const ask = async (path: string, method = 'GET') => {
    const fields = get(path).map(([name, value]) => [name, name === ':method' ? method : value] as const);
    const { head, resetCode } = await connection.call((stream += 2), fields);
    return [head[':status'], head['x-ait-refused'], resetCode];
  };
  const AMBIGUOUS = ['400', 'CALL_PATH_AMBIGUOUS', undefined];
  const NOT_GRANTED = ['403', 'CALL_NOT_GRANTED', undefined];
  const MALFORMED = [undefined, undefined, 1];

  for (const [why, path, expected] of [
    ['dots', '/docs/../admin', AMBIGUOUS],
    ['dots at the end', '/docs/..', AMBIGUOUS],
    ['one dot', '/docs/./a', AMBIGUOUS],
    ['dots as escapes', '/docs/%2e%2e/admin', AMBIGUOUS],
    ['dots, half an escape', '/docs/.%2E/admin', AMBIGUOUS],
    ['dots, escaped twice', '/docs/%252e%252e/admin', AMBIGUOUS],
    ['a slash as escape', '/docs%2F..%2Fadmin', AMBIGUOUS],
    ['a slash as escape, lower case', '/items/a%2fadmin/view', AMBIGUOUS],
    ['an overlong slash', '/docs/%c0%af../admin', AMBIGUOUS],
    ['a backslash', String.raw`/docs\..\admin`, AMBIGUOUS],
    ['a backslash as escape', '/docs/%5c..%5cadmin', AMBIGUOUS],
    ['a parameter', '/docs;x=/../admin', AMBIGUOUS],
    ['a parameter and dots', '/docs/..;/admin', AMBIGUOUS],
    ['a parameter as escape', '/docs/%3b/admin', AMBIGUOUS],
    ['two slashes', '//docs/a', AMBIGUOUS],
    ['two slashes within', '/docs//admin', AMBIGUOUS],
    ['a letter as escape', '/%64ocs/a', AMBIGUOUS],
    ['a NUL as escape', '/docs/a%00.txt', AMBIGUOUS],
    ['a question mark as escape', '/docs/a%3f', AMBIGUOUS],
    ['a fragment', '/docs/a#/admin', MALFORMED],
    ['a percent that is no escape', '/docs/a%zz', AMBIGUOUS],
    ['other case', '/DOCS/a', NOT_GRANTED],
    ['a prefix', '/docsecret', NOT_GRANTED],
    ['a longer path', '/plain/more', NOT_GRANTED],
    ['a shorter path', '/plai', NOT_GRANTED],
    ['a slash at the end', '/plain/', NOT_GRANTED],
    ['a wildcard over a slash', '/items/a/b/view', NOT_GRANTED],
    ['the grant in the query', '/admin?/docs/a', NOT_GRANTED],
    ['nothing', '', MALFORMED],
    ['absolute form', 'http://researcher/docs/a', MALFORMED],
    ['no slash', 'docs/a', MALFORMED],
    ['an asterisk', '*', MALFORMED],
    ['a blank', '/docs/a b', MALFORMED],
    ['a tab at the end', '/docs/a\t', MALFORMED],
    ['a line feed', '/docs/a\r\nx-evil: 1', MALFORMED],
  ] as const) {
    await t.test(`${why}: ${JSON.stringify(path)}`, async () => assert.deepEqual(await ask(path), expected));
  }

  await t.test('the method is part of the grant, and is compared as it is', async () => {
    for (const method of ['POST', 'DELETE', 'get', 'Get', 'HEAD', 'GETX']) {
      assert.deepEqual(await ask('/docs/a', method), NOT_GRANTED, method);
    }
    assert.deepEqual(await ask('/docs/a', 'CONNECT'), MALFORMED);
    assert.deepEqual(await ask('/docs/a', 'GET '), MALFORMED);
  });

  assert.equal(taken.length, 0, 'none of them has arrived');

  await t.test('what is granted arrives as it was sent, query and all', async () => {
    for (const path of ['/docs/a', '/docs/a/b?x=../../admin;a=//', '/items/%C3%A4/view', '/plain?', '/docs/a%20b']) {
      assert.deepEqual(await ask(path), ['200', undefined, undefined], path);
      assert.equal(taken.at(-1)?.headers[':path'], path);
    }
  });
  connection.socket.destroy();
});
