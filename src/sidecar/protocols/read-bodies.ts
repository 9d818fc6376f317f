import type { SpiffeId } from '../../domain/agent-id.ts';
import type { LiveConfig } from '../live-config.ts';
import type { Direction } from '../sidecar-metrics.ts';
import type { ReadBodies } from './protocols-section.ts';

/** Which bodies are read along, of calls of our agent to a peer, or of calls to our agent. Of a peer that is none any more: JSON. */
export function readBodiesOf(
  { config, peers }: Pick<LiveConfig, 'config' | 'peers'>,
  direction: Direction,
  peer: SpiffeId,
): ReadBodies {
  return (direction === 'outbound' ? peers.get(peer) : config.app)?.read_bodies ?? 'json';
}
