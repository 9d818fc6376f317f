import { choiceAt, objectAt, ShapeError } from '../../domain/json-shape.ts';
import type { AdminAnswer, AdminRequest, AdminRoutes } from '../../platform/admin-socket.ts';
import type { Logger } from '../../platform/logger.ts';
import { KEY_KINDS } from '../keys/key-ring.ts';
import type { KeyReport, KeyRotation } from '../keys/key-rotation.ts';

export interface KeyRoutesDeps {
  readonly rotation: KeyRotation;
  readonly logger: Logger;
}

/** What operators can ask of the authority's keys. `POST /keys/rotate` takes `{kind, compromised?}`. */
export function keyRoutes(deps: KeyRoutesDeps): AdminRoutes {
  return {
    'GET /keys': () => ({ body: { keys: deps.rotation.report().map(keyView) } }),
    'POST /keys/rotate': (request) => rotate(request, deps),
  };
}

async function rotate({ body, operator }: AdminRequest, { rotation, logger }: KeyRoutesDeps): Promise<AdminAnswer> {
  const request = objectAt(body ?? {}, 'request', { required: ['kind'], optional: ['compromised'] });
  const kind = choiceAt(request['kind'], 'kind', KEY_KINDS);
  const compromised = request['compromised'] ?? false;
  if (typeof compromised !== 'boolean') throw new ShapeError('compromised', 'not true or false');
  logger.info('key_rotation_asked_for', { kind, compromised, operator: operator.name });
  const answer = await rotation.rotate(kind, { compromised });
  if (!answer.ok) return { status: 409, body: { status: 409, code: answer.code, detail: answer.detail } };
  return { status: 201, body: { kind, compromised, keys: rotation.report().map(keyView) } };
}

/** Times in RFC 3339. */
function keyView({ kind, id, phase, createdAt, notAfter, nextChangeAt }: KeyReport): object {
  return {
    kind,
    id,
    phase,
    created: iso(createdAt),
    ...(notAfter !== undefined && { not_after: iso(notAfter) }),
    next_change_at: nextChangeAt === undefined ? null : iso(nextChangeAt),
  };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
