/** Exit codes that every verb shares. Stable: scripts depend on them. */
export const EXIT = {
  ok: 0,
  /** Something did not work. */
  failed: 1,
  /** What was asked for makes no sense: an unknown flag, a configuration with problems. */
  usage: 2,
  /** The question was understood, and there is nothing to tell. */
  nothing: 3,
  /** The authority or a sidecar says no: a role, the brake, a conflict. */
  refused: 4,
  /** Nobody answers. */
  unreachable: 5,
} as const;
