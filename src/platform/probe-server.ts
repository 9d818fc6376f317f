import { createServer, type Server, type ServerResponse } from 'node:http';
import type { Component } from './component.ts';
import { listen, type HostPort } from './listen-address.ts';
import type { MetricsRegistry } from './metrics-registry.ts';
import type { ReadinessView } from './readiness.ts';

export interface ProbeServerOptions {
  readonly listen: HostPort;
  /** What `/readyz` says. */
  readonly readiness: ReadinessView;
  /** Other readinesses by the last part of their path: `mesh` is `/readyz/mesh`. */
  readonly partial?: Readonly<Record<string, ReadinessView>>;
  readonly registry: MetricsRegistry;
  /** Brings gauges that depend on the present moment up to date before a scrape. */
  readonly beforeScrape?: () => void;
}

/** Metrics and probes, and nothing else: this port is on the pod's address for Prometheus and the kubelet. */
export class ProbeServer implements Component {
  readonly name = 'probes';
  readonly #options: ProbeServerOptions;
  readonly #server: Server;
  #address = '';

  constructor(options: ProbeServerOptions) {
    this.#options = options;
    this.#server = createServer(
      // Node looks for timeouts every 30 s unless told otherwise: so long could few silent callers keep a probe out.
      { requestTimeout: 5000, headersTimeout: 5000, connectionsCheckingInterval: 1000, maxHeaderSize: 8192 },
      (request, response) => {
        if (request.method !== 'GET' && request.method !== 'HEAD') answer(response, 405, 'only GET and HEAD');
        else void this.#serve(request.url ?? '/', response);
      },
    );
    this.#server.maxConnections = 64;
  }

  /** `host:port` as bound. */
  get address(): string {
    return this.#address;
  }

  async start(): Promise<void> {
    this.#address = await listen(this.#server, this.#options.listen, 'metrics and probes');
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #serve(url: string, response: ServerResponse): Promise<void> {
    const { readiness, partial = {}, registry, beforeScrape } = this.#options;
    const [path = ''] = url.split('?', 1);
    const [, part = ''] = /^\/readyz\/([a-z]+)$/.exec(path) ?? [];
    if (Object.hasOwn(partial, part)) {
      answerReadiness(response, partial[part] ?? readiness);
      return;
    }
    switch (path) {
      case '/livez':
        answer(response, 200, 'ok');
        return;
      case '/readyz':
        answerReadiness(response, readiness);
        return;
      case '/metrics':
        beforeScrape?.();
        response.setHeader('content-type', registry.contentType);
        response.end(await registry.render());
        return;
      default:
        answer(
          response,
          404,
          `there are ${['/livez', '/readyz', ...Object.keys(partial).map((each) => `/readyz/${each}`)].join(', ')} and /metrics`,
        );
    }
  }
}

/** `ready`, or one line for each thing that is waited for. */
export function readinessText(readiness: ReadinessView): string {
  const blockers = readiness.blockers();
  return blockers.length === 0 ? 'ready' : blockers.map(({ name, reason }) => `${name}: ${reason}`).join('\n');
}

function answerReadiness(response: ServerResponse, readiness: ReadinessView): void {
  answer(response, readiness.ready ? 200 : 503, readinessText(readiness));
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(`${text}\n`);
}
