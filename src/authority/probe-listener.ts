import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Component } from '../platform/component.ts';
import type { MetricsRegistry } from '../platform/metrics-registry.ts';
import type { Readiness } from '../platform/readiness.ts';
import { listen, type HostPort } from './listen-address.ts';

export interface ProbeListenerOptions {
  readonly address: HostPort;
  readonly readiness: Readiness;
  readonly registry: MetricsRegistry;
}

/**
 * `/livez`, `/readyz` (its body names what is in the way) and `/metrics`, over plain HTTP. Nothing here changes anything
 * or tells a secret, so it may be reached by Prometheus and the orchestrator.
 */
export class ProbeListener implements Component {
  readonly name = 'probe listener';
  /** `host:port`, actual; empty before the start. */
  address = '';
  readonly #options: ProbeListenerOptions;
  readonly #server: Server;

  constructor(options: ProbeListenerOptions) {
    this.#options = options;
    this.#server = createServer(
      { requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8_192 },
      (request, response) => {
        this.#answer(request, response).catch(() => response.destroy());
      },
    );
    this.#server.maxConnections = 64;
  }

  async start(): Promise<void> {
    this.address = await listen(this.#server, this.#options.address, 'the metrics port');
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    const { readiness, registry } = this.#options;
    if (method !== 'GET' && method !== 'HEAD') {
      send(response, 405, 'only GET\n');
      return;
    }
    switch (url?.split('?', 1)[0]) {
      case '/livez':
        send(response, 200, 'ok\n');
        return;
      case '/readyz': {
        const blockers = readiness.blockers();
        const text = blockers.map(({ name, reason }) => `${name}: ${reason}\n`).join('');
        send(response, blockers.length === 0 ? 200 : 503, text === '' ? 'ok\n' : text);
        return;
      }
      case '/metrics':
        send(response, 200, await registry.render(), registry.contentType);
        return;
      default:
        send(response, 404, 'there are /livez, /readyz and /metrics\n');
    }
  }
}

function send(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(text);
}
