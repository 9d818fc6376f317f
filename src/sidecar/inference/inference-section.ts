import * as v from 'valibot';
import { durationField, hostPortField, pathField } from '../../platform/config-fields.ts';
import { MINUTE, SECOND, count, localAddress } from '../config-fields.ts';

const MIB = 1024 * 1024;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** As models are named by those who serve them: printable, without blanks. */
const MODEL = /^[\x21-\x7e]{1,200}$/;
const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

const modelName = v.pipe(v.string(), v.regex(MODEL, 'expected the name of a model, without blanks'));

const service = v.strictObject({
  name: v.pipe(
    v.optional(v.string(), 'default'),
    v.description('The service in this trust domain: spiffe://<trust-domain>/inference/<name>. Default default.'),
    v.regex(NAME, 'expected a name such as default'),
  ),
  address: hostPortField('Where it listens, for example inference.ait.svc:17200.'),
});

const provider = v.pipe(
  v.strictObject({
    base_url: v.optional(
      v.pipe(
        v.string(),
        v.check((text) => isBaseUrl(text, 'https:'), 'expected https://host/path without user, query and fragment'),
        v.description('An OpenAI-compatible server, for example https://api.openai.com/v1. TLS is always verified.'),
      ),
    ),
    insecure_base_url: v.optional(
      v.pipe(
        v.string(),
        v.check(
          (text) => isBaseUrl(text, 'http:') && LOOPBACK_HOSTS.has(new URL(text).hostname),
          'expected http:// and a loopback host, for example http://127.0.0.1:11434/v1',
        ),
        v.description(
          'Instead of base_url: a server on this machine, without TLS. Whoever can open its port gets the prompts. For development.',
        ),
      ),
    ),
    api_key_file: v.optional(
      pathField(
        "File with the provider's key, one line of 8 to 4096 characters; read again when it changes. Only the sidecar may be able to read it. Default: no key is sent.",
      ),
    ),
    ca_file: v.optional(pathField("Certificates (PEM) that the provider's hangs on, instead of the public ones.")),
    model_map: v.pipe(
      v.optional(v.record(modelName, v.pipe(v.array(modelName), v.minLength(1), v.maxLength(20))), {}),
      v.description(
        'By approved model: further names under which the provider answers for it, such as dated ones. Default: the very name, and the version that is measured.',
      ),
    ),
  }),
  v.check(
    ({ base_url, insecure_base_url }) => (base_url === undefined) !== (insecure_base_url === undefined),
    'exactly one of base_url and insecure_base_url',
  ),
);

/** The section `inference` of a sidecar's configuration: where the agent calls its model, and where that is. */
export const inferenceSection = v.pipe(
  v.strictObject({
    listen: localAddress(
      'Where the agent calls its model, as an OpenAI-compatible server: unix:/path or a loopback host:port (port 0: the system chooses).',
    ),
    agent_only: v.pipe(
      v.optional(v.boolean(), false),
      v.description(
        "Your statement that nobody but the agent can open this loopback port. Only then do calls count as the agent's own: drift in them ends its sessions, what matches is in_use, and the caller is told where a prompt departs; a unix socket that is closed to others counts by itself. Default false.",
      ),
    ),
    only_way_to_model: v.pipe(
      v.optional(v.boolean(), false),
      v.description(
        "Your statement that the agent has no other way to any model (network policy). Only then is the assurance in_use claimed, and only of calls that count as the agent's own. Default false.",
      ),
    ),
    service: v.optional(service),
    provider: v.optional(provider),
    attestation_interval: durationField(
      '60s',
      { atLeastMs: SECOND, atMostMs: 60 * MINUTE },
      'How often the service has to prove anew what it runs.',
    ),
    limits: v.optional(
      v.strictObject({
        body_bytes: bytes(8 * MIB, 'Largest request.'),
        answer_bytes: bytes(16 * MIB, 'Largest answer that is not streamed.'),
        event_bytes: bytes(MIB, 'Largest event of a streamed answer.'),
        concurrent: count(512, 'Calls at the same time.'),
        connections: count(
          1024,
          'Connections to the port that are open at the same time, those that wait for their next call included.',
          65_536,
        ),
      }),
      {},
    ),
    timeouts: v.optional(
      v.strictObject({
        request: durationField(
          '30s',
          { atLeastMs: 100, atMostMs: 10 * MINUTE },
          'For the agent to send a whole request.',
        ),
        connect: durationField(
          '5s',
          { atLeastMs: 100, atMostMs: 5 * MINUTE },
          'For a connection to the model, from the first packet to accepted evidence.',
        ),
        first_byte: durationField(
          '5m',
          { atLeastMs: 10, atMostMs: 60 * MINUTE },
          'From the request to the first byte of the answer; without streaming that is the whole computation.',
        ),
        idle: durationField('1m', { atLeastMs: 10, atMostMs: 60 * MINUTE }, 'Silence within an answer.'),
      }),
      {},
    ),
  }),
  v.check(
    (section) => (section.service === undefined) !== (section.provider === undefined),
    'exactly one of service (confidential inference) and provider (any OpenAI-compatible server)',
  ),
);

/** The section `inference.provider`, for other files that name one. */
export const providerSection = provider;

export type InferenceConfig = v.InferOutput<typeof inferenceSection>;
export type ProviderConfig = v.InferOutput<typeof provider>;

function bytes(byDefault: number, text: string) {
  return v.pipe(
    v.optional(v.number(), byDefault),
    v.integer(),
    v.minValue(1024),
    v.maxValue(256 * MIB),
    v.description(`${text} In bytes. Default ${byDefault}.`),
  );
}

function isBaseUrl(text: string, protocol: 'https:' | 'http:'): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const isPlain = url.username === '' && url.password === '' && url.search === '' && url.hash === '';
  return url.protocol === protocol && isPlain && url.hostname !== '';
}
