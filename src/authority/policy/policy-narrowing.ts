import { isDeepStrictEqual } from 'node:util';
import type { StateObject } from '../../domain/mesh-state.ts';

/**
 * Whether a change could end a session for another reason than a revocation, whoever has sessions. For as long as it is
 * not known who has, the brake goes by this. Fails closed: a change of a kind that is not listed here could.
 */
export function mayCut(before: readonly StateObject[], after: readonly StateObject[]): boolean {
  const next = new Map(after.map((object) => [keyOf(object), object]));
  return before.some((object) => !leavesAll(object, next.get(keyOf(object))));
}

function leavesAll(before: StateObject, after: StateObject | undefined): boolean {
  if (isDeepStrictEqual(before, after)) return true;
  if (before.kind === 'baseline' && after?.kind === 'baseline') {
    if (before.value.state === 'revoked' || after.value.state === 'revoked') return true;
    // A retired one goes on for the sessions that are open.
    return isDeepStrictEqual({ ...before.value, state: 'approved' }, { ...after.value, state: 'approved' });
  }
  if (before.kind === 'agent' && after?.kind === 'agent') {
    return (
      after.value.lifecycle === 'active' &&
      after.value.sponsor !== undefined &&
      (before.value.observeUntil ?? 0) <= (after.value.observeUntil ?? 0)
    );
  }
  if (before.kind === 'grant' && after?.kind === 'grant') {
    // Which calls it lists ends calls, and connections that are none, but no session.
    return before.value.from === after.value.from && before.value.to === after.value.to;
  }
  // A service ends no sessions between agents, and which one a model call goes to is judged for each call.
  return before.kind === 'revocation' || before.kind === 'inference_service';
}

function keyOf({ kind, value }: StateObject): string {
  return `${kind} ${'id' in value ? value.id : ''}`;
}
