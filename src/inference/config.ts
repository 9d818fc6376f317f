import * as v from 'valibot';
import { isModelId } from '../domain/inference/evidence.ts';
import { countField, durationField, hostPortField, listenField, pathField } from '../platform/config-fields.ts';
import { LOG_LEVELS } from '../platform/logger.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const MIB = 1024 * 1024;
const NAME = /^[^\p{C}]{1,128}$/u;

const name = (text: string) =>
  v.pipe(v.string(), v.regex(NAME, 'expected 1 to 128 printable characters'), v.description(text));

const model = v.strictObject({
  id: v.pipe(
    v.string(),
    v.check((id) => isModelId(id), 'expected 1 to 128 letters, digits and . _ : / -'),
    v.description('How callers name the model.'),
  ),
  version: name('Version of the model; part of what is measured.'),
  owned_by: v.optional(name('Who answers for the model. Default simulated.'), 'simulated'),
});

/** The configuration of `ait inference`; keys in the file are exactly these. Anything else in the file is an error. */
export const inferenceConfigSchema = v.strictObject({
  state_dir: pathField(
    'Where the service keeps the root of its simulated hardware and the last trust bundle; made with mode 0700 if missing.',
  ),
  authority: v.strictObject({
    join_credential: pathField(
      'The file that `ait inference credential` wrote. Only the service may be able to read it.',
    ),
    address: v.optional(hostPortField("The authority's gRPC address. Default: the one in the join credential.")),
  }),
  listen: v.optional(
    listenField('Where sidecars come in, over mutual TLS. Default 0.0.0.0:17200; port 0: the system chooses.'),
    '0.0.0.0:17200',
  ),
  models: v.pipe(
    v.array(model),
    v.minLength(1),
    v.maxLength(64),
    v.check((models) => new Set(models.map(({ id }) => id)).size === models.length, 'the same model twice'),
    v.description('The models that it pretends to have: 1 to 64. Part of what is measured.'),
  ),
  tokens_per_second: countField(
    0,
    { min: 0, max: 100_000 },
    'How fast each answer is written; 0: as fast as it can be.',
  ),
  limits: v.optional(
    v.strictObject({
      body_bytes: countField(16 * MIB, { min: 1024, max: 256 * MIB }, 'Largest request body.'),
      concurrent_streams: countField(
        1024,
        { min: 1, max: 65_536 },
        'Answers under way at once; what comes on top is told to come again.',
      ),
      connections: countField(4096, { min: 1, max: 65_536 }, 'Open connections.'),
    }),
    {},
  ),
  timing: v.optional(
    v.strictObject({
      handshake_timeout: durationField('3s', { atLeastMs: 100, atMostMs: MINUTE }, 'For a TLS handshake.'),
      body_timeout: durationField(
        '30s',
        { atLeastMs: SECOND, atMostMs: 10 * MINUTE },
        'From the first byte of a request to its last.',
      ),
      drain: durationField(
        '25s',
        { atLeastMs: 0, atMostMs: 60 * MINUTE },
        'How long answers under way may go on after SIGTERM.',
      ),
    }),
    {},
  ),
  metrics: v.optional(
    v.strictObject({
      listen: v.optional(
        listenField('Metrics and probes, nothing else. Default 0.0.0.0:17290; port 0: the system chooses.'),
        '0.0.0.0:17290',
      ),
    }),
    {},
  ),
  log_level: v.optional(v.picklist(LOG_LEVELS), 'info'),
});

export type InferenceConfig = v.InferOutput<typeof inferenceConfigSchema>;
export type ServedModel = InferenceConfig['models'][number];

/** Environment variables over the file: `AIT_INFERENCE_METRICS__LISTEN` is `metrics.listen`. */
export const INFERENCE_ENV_PREFIX = 'AIT_INFERENCE_';
