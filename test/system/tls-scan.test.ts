import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { privateKeyToPem } from '../../src/crypto/keys.ts';
import { Attacker } from '../support/attacker.ts';
import { assertAppUntouched } from '../support/attacks.ts';
import { findProgram, run } from '../support/debian-program.ts';
import { startMesh } from '../support/mesh.ts';

/**
 * OpenSSL sends NewSessionTicket messages under TLS 1.3 whatever its options say, and Node.js has no way to ask for
 * none. Under SSL_OP_NO_TICKET they carry no session, only 32 bytes that name one; and nobody keeps what they name.
 */
function assertTicketsAreEmpty(seen: string): void {
  for (const [, dump = ''] of seen.matchAll(/TLS session ticket:\n((?:\s+[0-9a-f]{4} - .*\n)+)/g)) {
    assert.equal(dump.trim().split('\n').length, 2, `a ticket that holds a session:\n${dump}`);
  }
}

test('what openssl sees of the inbound port: TLS 1.3 with both certificates and our ALPN, or nothing', async (t) => {
  const openssl = findProgram('openssl', 'openssl');
  const timing = { exchange_timeout: '700ms' };
  const mesh = await startMesh(t, {
    agents: { planner: { calls: ['researcher'], start: false }, researcher: { config: { timing } } },
  });
  const victim = mesh.agent('researcher');
  const { certPem, keyPair } = (await Attacker.of(t, mesh)).member('planner');
  const files = {
    cert: certPem,
    key: privateKeyToPem(keyPair.privateKey),
    root: (await mesh.authority.keys()).root_certificate,
  };
  for (const [name, pem] of Object.entries(files)) await writeFile(join(mesh.folder, `${name}.pem`), pem);
  const certificate = ['-cert', join(mesh.folder, 'cert.pem'), '-key', join(mesh.folder, 'key.pem')];

  /** Says nothing after the handshake, and waits to be hung up on: by then a ticket would have come. */
  const scan = async (...args: string[]) => {
    const common = ['s_client', '-connect', victim.inbound, '-CAfile', join(mesh.folder, 'root.pem'), '-ign_eof'];
    const { code, stdout, stderr } = await run(openssl, [...common, ...args], { deadlineMs: 15_000 });
    assert.notEqual(code, null, 'the sidecar hung up by itself');
    return stdout.toString() + stderr;
  };

  await t.test('with everything in order: TLS 1.3, our root, no ticket with anything in it', async () => {
    const seen = await scan('-alpn', 'h2', ...certificate);
    assert.match(seen, /New, TLSv1\.3, Cipher is TLS_/);
    assert.match(seen, /ALPN protocol: h2/);
    assert.match(seen, /Verify return code: 0 \(ok\)/);
    assertTicketsAreEmpty(seen);
  });

  await t.test('the data protocol, too', async () => {
    const seen = await scan('-alpn', 'ait-data/1', ...certificate);
    assert.match(seen, /ALPN protocol: ait-data\/1/);
    assertTicketsAreEmpty(seen);
  });

  for (const [version, flag] of [
    ['1.2', '-tls1_2'],
    ['1.1', '-tls1_1'],
  ] as const) {
    await t.test(`TLS ${version}: refused`, async () => {
      const from = victim.sidecar.mark();
      // At security level 0 openssl would still speak the older ones itself.
      const seen = await scan(flag, '-cipher', 'ALL:@SECLEVEL=0', '-alpn', 'h2', ...certificate);
      assert.match(seen, /alert protocol version/);
      assert.match(seen, /no peer certificate available/);
      await victim.waitForVerdict({ code: 'TLS_HANDSHAKE_FAILED' }, { from });
    });
  }

  await t.test('no client certificate: refused', async () => {
    const from = victim.sidecar.mark();
    assert.match(await scan('-alpn', 'h2'), /alert certificate required/);
    await victim.waitForVerdict({ code: 'TLS_HANDSHAKE_FAILED' }, { from });
  });

  for (const offered of ['http/1.1', 'h2c', 'ait-data/2', 'H2']) {
    await t.test(`ALPN ${offered}: refused`, async () => {
      const from = victim.sidecar.mark();
      const seen = await scan('-alpn', offered, ...certificate);
      assert.match(seen, /alert no application protocol/);
      await victim.waitForVerdict({ code: 'TLS_HANDSHAKE_FAILED' }, { from });
    });
  }

  await t.test('no ALPN at all: hung up on', async () => {
    const from = victim.sidecar.mark();
    await scan(...certificate);
    await victim.waitForVerdict({ code: 'ALPN_MISMATCH' }, { from });
  });

  for (const protocol of ['h2', 'ait-data/1']) {
    await t.test(
      `${protocol}: a session presented again: a full handshake, with the certificate looked at anew`,
      async () => {
        const session = join(mesh.folder, 'session.pem');
        await scan('-alpn', protocol, '-sess_out', session, ...certificate);
        assert.match(await readFile(session, 'utf8'), /BEGIN SSL SESSION/, 'there is something to present');
        const seen = await scan('-alpn', protocol, '-sess_in', session, ...certificate);
        assert.match(seen, /New, TLSv1\.3, Cipher is TLS_/);
        assert.doesNotMatch(seen, /Reused, TLS/);
        assert.match(seen, new RegExp(`ALPN protocol: ${protocol}`));
      },
    );
    await t.test(`${protocol}: the same without a certificate: refused`, async () => {
      assert.match(
        await scan('-alpn', protocol, '-sess_in', join(mesh.folder, 'session.pem')),
        /alert certificate required/,
      );
    });
  }

  assertAppUntouched(victim);
});
