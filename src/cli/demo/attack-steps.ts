import { connect } from 'node:net';
import { join } from 'node:path';
import type { RejectionCode } from '../../domain/rejection.ts';
import type { Measurement } from '../../domain/measurement.ts';
import { systemRandom } from '../../platform/random.ts';
import { sidecarOf } from '../mesh-runner/mesh.ts';
import { Attacker } from './attacker.ts';
import { isEndOfStream } from './drift-check.ts';
import { expiredToken, foreignToken } from './forged-tokens.ts';
import type { Stage } from './stage.ts';
import { claim, type Step } from './step.ts';

/** The attacks; each is judged by what the victim's own sidecar put on record, not by what the attacker was told. */
export function attackSteps(): readonly Step[] {
  let attackers: Promise<Attackers> | undefined;
  let begin = 0;
  const prepared = (stage: Stage): Promise<Attackers> => {
    if (attackers === undefined) begin = stage.position;
    attackers ??= gather(stage);
    return attackers;
  };
  const exchange = (
    name: string,
    expected: RejectionCode,
    plot: (cast: Attackers, stage: Stage) => Promise<Plot>,
  ): Step => ({
    name: `attack: ${name}`,
    expected: `the researcher refuses with ${expected}`,
    run: async (stage) => {
      const cast = await prepared(stage);
      const { attacker, ait, instance } = await plot(cast, stage);
      const correlationId = newId();
      const { measurement } = cast;
      const told = await attacker.exchange({ ...researcherOf(stage), ait, instance, measurement, correlationId });
      return `${await recorded(stage, correlationId, expected)}; the attacker was told: ${told}`;
    },
  });

  return [
    exchange(
      "the planner's valid token over a certificate of mallory's",
      'AIT_SUBJECT_MISMATCH',
      async ({ mallory, thief, stolen }) => {
        return { attacker: mallory, ait: stolen, instance: thief.membership.instanceId };
      },
    ),
    exchange(
      "one planner's valid token over another planner's certificate",
      'AIT_BINDING_MISMATCH',
      async ({ thief, accomplice, stolen }) => {
        return { attacker: accomplice, ait: stolen, instance: thief.membership.instanceId };
      },
    ),
    exchange('an expired token', 'AIT_EXPIRED', async ({ thief, measurement }, stage) => {
      const ait = await expiredToken(thief, measurement, stage.layout.stateOf('authority'));
      return { attacker: thief, ait, instance: thief.membership.instanceId };
    }),
    exchange('a token of another trust domain', 'AIT_ISSUER_UNKNOWN', async ({ thief, measurement }) => {
      return { attacker: thief, ait: await foreignToken(thief, measurement), instance: thief.membership.instanceId };
    }),
    {
      name: 'attack: a data connection without a session',
      expected: 'the researcher refuses with DATA_SESSION_UNKNOWN',
      run: async (stage) => {
        const { thief } = await prepared(stage);
        const correlationId = newId();
        const { instance } = await stage.status('researcher');
        await thief.openData({ ...researcherOf(stage), instance, correlationId });
        return recorded(stage, correlationId, 'DATA_SESSION_UNKNOWN');
      },
    },
    {
      name: "attack: a valid member at the researcher's address",
      expected: 'the calling sidecar refuses with UNEXPECTED_PEER and shows no token',
      run: async (stage) => {
        const { mallory } = await prepared(stage);
        const address = await mallory.impersonate();
        return callThrough(stage, address);
      },
    },
    {
      name: "attack: an agent's certificate on the authority's port",
      expected: 'a joining sidecar refuses with UNEXPECTED_PEER and does not show its credential',
      run: async (stage) => {
        const { mallory } = await prepared(stage);
        const authority = await mallory.impersonate();
        const instance = 'planner-late';
        const child = await stage.mesh.launchSidecar(stage.agent('planner'), { instance, authority });
        const { text } = await stage.line(sidecarOf(instance), 'UNEXPECTED_PEER', (line) =>
          line.text.includes('UNEXPECTED_PEER'),
        );
        await child.stop();
        return /UNEXPECTED_PEER: expected[^"]*/.exec(text)?.[0] ?? text.slice(0, 300);
      },
    },
    {
      name: 'after all attacks: nobody else noticed',
      expected: "the planner's stream and session went on through all of them",
      run: async (stage) => {
        const { close } = await prepared(stage);
        close();
        await Promise.all([stage.findings(3, stage.position), stage.call('Ask', 'OK', stage.position)]);
        const since = stage.mesh.transcript.since(begin);
        claim(!since.some(isEndOfStream), 'the stream was interrupted');
        claim(
          !since.some(
            ({ source, record }) => source === sidecarOf('planner') && record?.event === 'session_terminated',
          ),
          'the session was ended',
        );
        return 'no call was disturbed';
      },
    },
  ];
}

interface Plot {
  readonly attacker: Attacker;
  readonly ait: string;
  readonly instance: string;
}

/** Who attacks, and with what. */
interface Attackers {
  /** A member in good standing, with a grant to call the researcher. */
  readonly mallory: Attacker;
  /** Two instances of the planner, made with a credential that got into the wrong hands. */
  readonly thief: Attacker;
  readonly accomplice: Attacker;
  /** What the planner measures, and a valid token over it, bound to the thief's certificate. */
  readonly measurement: Measurement;
  readonly stolen: string;
  readonly close: () => void;
}

async function gather(stage: Stage): Promise<Attackers> {
  const file = (agent: string): string => join(stage.layout.root, `${agent}.credential`);
  const credentials = await Promise.all(
    ['mallory', 'planner'].map((agent) => stage.mesh.writeCredential(agent, file(agent))),
  );
  const [mallory, thief, accomplice] = await Promise.all([
    Attacker.join(credentials[0] ?? ''),
    Attacker.join(credentials[1] ?? ''),
    Attacker.join(credentials[1] ?? ''),
  ]);
  const { measurement } = await stage.status('planner');
  const stolen = await thief.obtainToken(measurement);
  return { mallory, thief, accomplice, measurement, stolen, close: () => mallory.close() };
}

function researcherOf(stage: Stage): { readonly address: string } {
  return { address: stage.addressesOf('researcher').inbound };
}

/** @throws ClaimFailed when the victim's record of this attempt says anything else */
async function recorded(stage: Stage, correlationId: string, expected: RejectionCode): Promise<string> {
  await stage.line(
    sidecarOf('researcher'),
    'its decision',
    ({ record }) => record?.['correlationId'] === correlationId && 'code' in record,
  );
  const decision = (await stage.decisions('researcher')).find((one) => one.correlationId === correlationId);
  const code = decision?.rejection?.code;
  claim(code === expected, `the researcher recorded ${code ?? 'nothing'}: ${decision?.rejection?.detail ?? ''}`);
  return `${expected}: ${decision?.rejection?.detail}`;
}

/** A sidecar of the planner that was told a wrong address, and a call through it. */
async function callThrough(stage: Stage, address: string): Promise<string> {
  const instance = 'planner-misled';
  const { peers } = await stage.mesh.startSidecar(stage.agent('planner'), {
    instance,
    addresses: { researcher: address },
  });
  const path = (peers.get('researcher') ?? '').slice('unix:'.length);
  await stage.event(instance, 'sidecar_mesh_ready');
  const socket = connect({ path });
  socket.on('error', () => undefined);
  try {
    const { record } = await stage.line(
      sidecarOf(instance),
      'its refusal',
      ({ record }) => record?.['code'] !== undefined && record['direction'] === 'outbound',
    );
    claim(
      record?.['code'] === 'UNEXPECTED_PEER',
      `it recorded ${String(record?.['code'])}: ${String(record?.['detail'])}`,
    );
    return `UNEXPECTED_PEER: ${String(record?.['detail'])}`;
  } finally {
    socket.destroy();
    await stage.mesh.child(sidecarOf(instance))?.stop();
  }
}

function newId(): string {
  return `attack-${systemRandom.bytes(6).toString('hex')}`;
}
