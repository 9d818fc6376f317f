import * as v from 'valibot';
import { readOrigin } from '../../domain/a2a/push-target.ts';
import { countField } from '../../platform/config-fields.ts';

const KIB = 1024;
const MIB = KIB * KIB;
const MAX_TARGETS = 100;

/** Which bodies of HTTP calls are read along: a record, so that each has its words. */
export const READ_BODIES = ['json', 'all', 'none'] as const;
export type ReadBodies = (typeof READ_BODIES)[number];

export const readBodiesField = (whose: string) =>
  v.pipe(
    v.optional(v.picklist(READ_BODIES), 'json'),
    v.description(
      `Which bodies of HTTP calls ${whose} are read along, for A2A's push-notification targets and agent cards and for MCP's lists of tools. json: JSON, what has no type, and what a protocol says is its own. all: every request body, whatever type it claims, for servers that read JSON without looking. none: no body at all, so that nothing is checked; for an agent that takes larger JSON than protocols.body_bytes and speaks neither protocol. Default json.`,
    ),
  );

const origin = v.pipe(
  v.string(),
  v.check(
    (url) => readOrigin(url) !== undefined && /^https?:\/\/[^/?#]+\/?$/.test(url),
    'expected an origin such as https://hooks.example.com',
  ),
);

/** What is asked of the protocols that agents speak over HTTP. */
export const protocolsSection = v.optional(
  v.strictObject({
    body_bytes: countField(
      4 * MIB,
      { min: KIB, max: 64 * MIB },
      'Bytes of a body that is read along, or of one server-sent event. A longer one is refused.',
    ),
    push_targets: v.optional(
      v.pipe(
        v.array(origin),
        v.maxLength(MAX_TARGETS),
        v.description(
          'Origins outside the mesh, such as https://hooks.example.com, to which A2A agents may be told to push notifications: ours by its callers, and others by ours. Agents of the mesh (http://<agent>.mesh) always may be. Default: none.',
        ),
      ),
      [],
    ),
    unverified_cards: v.pipe(
      v.optional(v.picklist(['refuse', 'pass']), 'refuse'),
      v.description(
        'What becomes of an A2A agent card that is signed, where `peers[].card_keys` has no keys of its agent. refuse, or pass: our agent gets it as it is and has to verify it itself. A signature by a known key that does not hold is refused in any case. Default refuse.',
      ),
    ),
    fewer_tools: v.pipe(
      v.optional(v.picklist(['refuse', 'pass']), 'refuse'),
      v.description(
        "What becomes of an MCP server's list of tools that lacks some of the approved ones. refuse: that is drift, like one that was added or changed. pass: for servers that show each caller only what it may use. Default refuse.",
      ),
    ),
  }),
  {},
);

interface ProtocolsConfig {
  readonly protocols: v.InferOutput<typeof protocolsSection>;
}

/** The settings in force; the same object for as long as the process runs. */
export interface ProtocolSettings {
  readonly bodyBytes: number;
  /** As `readOrigin` writes them. */
  readonly pushTargets: ReadonlySet<string>;
  readonly unverifiedCards: 'refuse' | 'pass';
  readonly fewerTools: 'refuse' | 'pass';
}

export function protocolSettingsOf({ protocols }: ProtocolsConfig): ProtocolSettings {
  return {
    bodyBytes: protocols.body_bytes,
    pushTargets: new Set(protocols.push_targets.map((url) => readOrigin(url) ?? '')),
    unverifiedCards: protocols.unverified_cards,
    fewerTools: protocols.fewer_tools,
  };
}
