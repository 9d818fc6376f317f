import type { TargetFlags } from '../operator/target-options.ts';

export interface ReportFlags extends TargetFlags {
  readonly json?: boolean;
}

/** Whose instances are what, as `GET /instances` tells it. */
export interface InstanceView {
  readonly id: string;
  /** SPIFFE ID. */
  readonly agent: string;
  readonly state: 'ready' | 'not_ready' | 'silent' | 'gone';
  readonly drifted: boolean;
  readonly rejection_code?: string;
  readonly blockers?: readonly { readonly name: string; readonly reason: string }[];
}

/** An agent, as `GET /agents` tells it. */
export interface AgentView {
  readonly id: string;
  readonly lifecycle: string;
  readonly sponsor_name?: string;
  readonly sponsor?: string;
  readonly observe_until?: string;
  readonly baselines: readonly { readonly id: string; readonly state: string }[];
  readonly instances: number;
  readonly ready: number;
  readonly drifted: number;
}
