import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSpiffeId } from '../../../../src/domain/agent-id.ts';
import { meshName, meshNames, peerOfAuthority } from '../../../../src/sidecar/calls/mesh-names.ts';

const agent = (name: string) => parseSpiffeId(`spiffe://acme.example/agent/${name}`);

test('an agent is called by its name, with dots for slashes, in lower case', () => {
  assert.equal(meshName(agent('researcher')), 'researcher.mesh');
  assert.equal(meshName(agent('team/Web-Search')), 'team.web-search.mesh');
});

test('a name with and without suffix, port and last dot means the same agent; one that two have means nobody', () => {
  const peers = [agent('researcher'), agent('team/search'), agent('a/b'), agent('a.b')];
  for (const authority of [
    'researcher',
    'researcher.mesh',
    'Researcher.mesh:443',
    'researcher:80',
    'researcher.mesh.',
  ]) {
    assert.equal(peerOfAuthority(authority, peers), peers[0], authority);
  }
  assert.equal(peerOfAuthority('team.search.mesh', peers), peers[1]);
  for (const authority of [
    '',
    ':443',
    'a.b.mesh',
    'researcher.mesh.mesh',
    'researcher.mesh:x',
    'researcher.mesh:443:443',
  ]) {
    assert.equal(peerOfAuthority(authority, peers), undefined, authority);
  }
});

test('the names that are told are in order, and no more than fit into a header', () => {
  assert.deepEqual(meshNames([agent('writer'), agent('critic')]), ['critic.mesh', 'writer.mesh']);
  assert.deepEqual(meshNames([]), []);
  const many = Array.from({ length: 1000 }, (_, index) => agent(`agent-${String(index).padStart(4, '0')}`));
  const told = meshNames(many);
  assert.ok(told.length > 30 && told.join(', ').length <= 800, `${told.join(', ').length}`);
  assert.equal(told[0], 'agent-0000.mesh');
  assert.deepEqual(meshNames([agent('x'.repeat(200)), ...many.slice(0, 3)]).length, 4);
});
