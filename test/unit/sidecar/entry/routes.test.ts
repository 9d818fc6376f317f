import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '../../../../src/domain/agent-id.ts';
import { routeByName, routeTo, type Route } from '../../../../src/sidecar/entry/routes.ts';
import { callRequest } from '../../../support/call-outcomes.ts';
import { RESEARCHER } from '../../../support/call-world.ts';

const WRITER = parseSpiffeId('spiffe://acme.example/agent/writer');

function answer(route: Route, authority: string, isProxied = false) {
  const found = route({ ...callRequest(), authority, isProxied });
  return typeof found === 'string' ? found : `${found.code} ${found.known?.join()}`;
}

test('at the port for all peers the name counts, for each request anew; a proxy answers 404 where others answer 421', () => {
  const peers = [RESEARCHER, WRITER];
  const route = routeByName(() => peers);
  assert.equal(answer(route, 'researcher.mesh'), RESEARCHER);
  assert.equal(answer(route, 'writer:80', true), WRITER);
  assert.equal(answer(route, 'nobody.mesh'), 'AUTHORITY_MISDIRECTED researcher.mesh,writer.mesh');
  assert.equal(answer(route, 'api.example', true), 'PROXY_TARGET_UNKNOWN researcher.mesh,writer.mesh');
  peers.pop();
  assert.equal(answer(route, 'writer'), 'AUTHORITY_MISDIRECTED researcher.mesh');
  peers.pop();
  assert.equal(answer(route, 'researcher'), 'AUTHORITY_MISDIRECTED ', 'nobody to call: nobody is called');
});

test('at the port of a peer its name is for the peer, but what is told a proxy has to be that very peer', () => {
  const route = routeTo(RESEARCHER);
  for (const authority of ['localhost', 'researcher.mesh', 'writer.mesh', ''])
    assert.equal(answer(route, authority), RESEARCHER);
  assert.equal(answer(route, 'researcher.mesh:80', true), RESEARCHER);
  assert.equal(answer(route, 'researcher', true), RESEARCHER);
  assert.equal(answer(route, 'writer.mesh', true), 'PROXY_TARGET_UNKNOWN researcher.mesh');
  assert.equal(answer(route, 'localhost', true), 'PROXY_TARGET_UNKNOWN researcher.mesh');
});
