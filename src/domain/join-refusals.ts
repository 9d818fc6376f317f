interface Row {
  /** One sentence for the operator: what was wrong. */
  readonly meaning: string;
  /** One sentence for the operator: what to do now. */
  readonly action: string;
}

/**
 * Every reason for which the authority lets an instance not in: the label of `ait_joins_total`, the field `code` of its
 * log, and what the sidecar repeats with the advice that stands here.
 */
export const JOIN_REFUSALS = {
  REQUEST_INVALID: {
    meaning: 'The request is malformed: not exactly one of credential and token, or no usable signing request.',
    action: 'No sidecar of ours sends this; see which program dials the authority.',
  },
  JOIN_CREDENTIAL_UNKNOWN: {
    meaning: 'There is no join credential with this id and secret.',
    action: 'Make a new one with `ait agent credential <agent>`; old ones are forgotten a month after their end.',
  },
  JOIN_CREDENTIAL_EXPIRED: {
    meaning: 'The join credential has ended; the detail has both times.',
    action: 'Make a new one with `ait agent credential <agent>`, or correct the clock of the authority.',
  },
  JOIN_CREDENTIAL_USED_UP: {
    meaning: 'As many instances have joined with the join credential as it was made for; each start is one use.',
    action: 'Find out what keeps restarting, then make a new one with `ait agent credential <agent> --uses <count>`.',
  },
  TOKEN_MALFORMED: {
    meaning:
      'The ServiceAccount token is not one: too long, not three parts, JSON with a key twice, or a claim of another form.',
    action: 'Check that authority.service_account_token_file names the projected token itself.',
  },
  TOKEN_ALGORITHM_REFUSED: {
    meaning: 'The token is signed by no algorithm that Kubernetes uses: none at all, a shared secret, or a rare one.',
    action: 'No Kubernetes issues such a token: treat it as an attack and find the sender by its address.',
  },
  ISSUER_UNKNOWN: {
    meaning: 'The token is of an issuer that this authority was not told to accept.',
    action:
      "Compare `iss` in the token with `kubernetes[].issuer` in the authority's configuration; they are equal to the letter.",
  },
  ISSUER_UNREACHABLE: {
    meaning: "The issuer's keys cannot be had, so that no token of it can be checked. Nobody is let in meanwhile.",
    action:
      'Check the way from the authority to the issuer and kubernetes[].ca_file; sidecars ask again by themselves.',
  },
  TOKEN_KEY_UNKNOWN: {
    meaning: 'The issuer publishes no key with the id that the token names.',
    action:
      'Check that the token is of this very cluster, and with kubernetes[].jwks_file that the file is up to date.',
  },
  TOKEN_SIGNATURE_INVALID: {
    meaning: "The token's signature does not verify with the issuer's key.",
    action: 'The token was altered or forged: treat it as an attack and find the sender by its address.',
  },
  TOKEN_EXPIRED: {
    meaning: 'The token has ended; the detail has both times.',
    action: 'Check that the kubelet renews the projected token, and both clocks.',
  },
  TOKEN_NOT_YET_VALID: {
    meaning: 'The token is valid only from a later time on; the detail has both times.',
    action: "Correct the clock that is off (NTP): the authority's or the cluster's.",
  },
  TOKEN_AUDIENCE_MISMATCH: {
    meaning: 'The token was not made for this authority.',
    action: "Set `audience` of the pod's projected volume to kubernetes[].audience of the authority.",
  },
  TOKEN_NOT_BOUND: {
    meaning: 'The token is not bound to a pod, so that anybody could have it anywhere.',
    action:
      'Use a projected volume (serviceAccountToken); tokens of `kubectl create token` need --bound-object-kind Pod.',
  },
  SERVICE_ACCOUNT_UNKNOWN: {
    meaning: 'The ServiceAccount stands for no agent.',
    action: 'Add `<namespace>/<account>: <agent>` to kubernetes[].accounts, or run the pod under another account.',
  },
  POD_MISMATCH: {
    meaning: 'The pod was known under another name, namespace or account; pods never change these.',
    action: 'The issuer contradicts itself: find out who can sign for it.',
  },
  TOKEN_SUPERSEDED: {
    meaning: 'The pod has joined with a newer token already; its older ones count no more.',
    action: 'If the pod did not do this itself, somebody has a copy of its token: look at the address in the log.',
  },
  AGENT_NOT_ACTIVE: {
    meaning: 'The agent is not registered, or retired.',
    action: 'Look at `lifecycle` of the agent in the policy directory of the authority.',
  },
  SERVICE_NOT_APPROVED: {
    meaning: 'No inference service of this name is in force.',
    action:
      'Approve it first: put the output of `ait inference describe --policy` into the policy directory of the authority.',
  },
  REVOKED: {
    meaning: 'The agent is revoked.',
    action: 'Nothing takes a revocation back; register the agent under another name when all is well again.',
  },
  STATE_NOT_WRITTEN: {
    meaning:
      'The authority cannot write its state (a full disk, a read-only mount), and lets nobody in it cannot note.',
    action:
      'Make room on the disk of the authority, or its state directory writable; sidecars ask again by themselves.',
  },
  INTERNAL: {
    meaning: 'The authority failed; its log has the cause.',
    action: 'Look for call_failed in the log of the authority.',
  },
} as const satisfies Record<string, Row>;

export type JoinRefusalCode = keyof typeof JOIN_REFUSALS;

export function isJoinRefusalCode(text: string | undefined): text is JoinRefusalCode {
  return text !== undefined && Object.hasOwn(JOIN_REFUSALS, text);
}
