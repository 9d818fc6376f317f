import assert from 'node:assert/strict';
import type { Attacker } from './attacker.ts';
import type { LogLine } from './child-process.ts';
import type { Identity } from './forgery.ts';
import type { HostileExchange } from './hostile-exchange.ts';
import type { TestAgent } from './test-agent.ts';

/** What the victim wrote down about this exchange. */
export function verdictOn(victim: TestAgent, { correlationId }: HostileExchange): Promise<LogLine> {
  return victim.waitForVerdict({ correlationId });
}

/**
 * Goes through an exchange with this identity, true in everything else, and tells the code under which the victim
 * refused it. The victim must have said Reject, and not Accept.
 */
export async function exchangeRefusal(attacker: Attacker, victim: TestAgent, identity: Identity): Promise<unknown> {
  const exchange = await attacker.dial(victim.inbound, identity);
  exchange.hello();
  await exchange.expect('hello');
  exchange.prove();
  exchange.accept();
  const { code, event } = await verdictOn(victim, exchange);
  assert.equal(event, 'peer_denied');
  await exchange.closed;
  assert.ok(!exchange.received.some(({ message }) => message === 'accept'), 'the victim sent Accept');
  exchange.destroy();
  return code;
}

/** No byte and no connection of a stranger got as far as the victim's app. */
export function assertAppUntouched(victim: TestAgent): void {
  assert.equal(victim.app.connections, 0, 'somebody reached the app');
  assert.equal(victim.app.received.length, 0);
}
