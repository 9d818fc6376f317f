import { mayNotify, pushTargetsIn, readOrigin } from '../../domain/a2a/push-target.ts';
import type { SpiffeId } from '../../domain/agent-id.ts';
import type { JsonValue } from '../../domain/canonical/strict-json.ts';
import { rejection, type Rejection } from '../../domain/rejection.ts';
import { peerOfAuthority } from '../calls/mesh-names.ts';
import type { CheckResult } from './protocol-metrics.ts';
import type { ProtocolSettings } from './protocols-section.ts';

export interface PushTargetsDeps {
  readonly settings: ProtocolSettings;
  /** The agents of this mesh that are known here. */
  readonly agents: () => Iterable<SpiffeId>;
}

/** Only the whole name: a short one means something else where a callee resolves it by itself. */
const MESH_SUFFIX = '.mesh';

/** Decides where A2A agents may be told to push notifications. */
export class PushTargets {
  readonly #deps: PushTargetsDeps;

  constructor(deps: PushTargetsDeps) {
    this.#deps = deps;
  }

  /** @returns why a request must not go on; `undefined`: it may */
  judge(
    request: JsonValue,
    { isPushPath, count }: { readonly isPushPath: boolean; readonly count: (result: CheckResult) => void },
  ): Rejection | undefined {
    const targets = pushTargetsIn(request, { isPushPath });
    if (targets?.length === 0) return undefined;
    const foreign = targets?.find((url) => !this.#isGranted(url));
    if (targets !== undefined && foreign === undefined) {
      count('passed');
      return undefined;
    }
    count('refused');
    const where = foreign === undefined ? 'more places than any request names' : describe(foreign);
    return rejection('PUSH_TARGET_NOT_GRANTED', `notifications of a task are to go to ${where}`);
  }

  #isGranted(url: string): boolean {
    const { settings, agents } = this.#deps;
    const isAgent = (host: string) => host.endsWith(MESH_SUFFIX) && peerOfAuthority(host, agents()) !== undefined;
    return mayNotify(url, { isAgent, granted: settings.pushTargets });
  }
}

/** Without the path, which may hold a secret of whoever listens there. */
function describe(url: string): string {
  return readOrigin(url) ?? 'something that is no plain http(s) URL';
}
