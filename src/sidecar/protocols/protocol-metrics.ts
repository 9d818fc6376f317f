import type { MetricsRegistry } from '../../platform/metrics-registry.ts';

/** What is looked at in the bodies of calls. */
export const PROTOCOL_CHECKS = ['agent_card', 'push_target', 'tool_list'] as const;
export type ProtocolCheck = (typeof PROTOCOL_CHECKS)[number];

export const CHECK_RESULTS = ['passed', 'rewritten', 'verified', 'observed', 'refused'] as const;
export type CheckResult = (typeof CHECK_RESULTS)[number];

export function createProtocolMetrics(registry: MetricsRegistry, direction: readonly ['inbound', 'outbound']) {
  return {
    protocolChecks: registry.counter({
      name: 'protocol_checks_total',
      help: 'What was looked at in bodies of A2A and MCP: agent cards (rewritten to lead through the mesh, or signed and verified), push-notification targets, and lists of tools, by what became of them.',
      labels: { direction, check: PROTOCOL_CHECKS, result: CHECK_RESULTS },
    }),
  };
}
