import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CertificateFiles } from './certificates.ts';
import { Child, findProgram, freePort, listening } from './children.ts';

/** Two proxies in a row, mutually authenticated TLS between them, plaintext HTTP/2 at both ends. */
export interface ProxyPair {
  readonly name: string;
  /** Where the caller connects, on 127.0.0.1. */
  readonly port: number;
  /** Where the second proxy takes TLS connections, on 127.0.0.1. */
  readonly between: number;
  /** Both processes, the caller's side first. */
  readonly pids: readonly [number, number];
  /** One more proxy like the caller's, that connects to this port instead of to the second one. Sidecars have none. */
  readonly callerTo?: (port: number) => Promise<{ readonly port: number; stop(): Promise<void> }>;
  stop(): Promise<void>;
}

export interface PairInput {
  readonly folder: string;
  /** For either side. */
  readonly files: CertificateFiles;
  /** Where the server listens. */
  readonly backend: number;
}

/** One of the two proxies: `client` is where the caller connects, `server` is before the server. */
export type Side = { readonly role: 'client' | 'server'; readonly listen: number; readonly to: number };

export function haproxyTcp(input: PairInput): Promise<ProxyPair> {
  return haproxy('HAProxy, TCP', input, { mode: 'tcp', alpn: '', proto: '' });
}

export function haproxyHttp(input: PairInput): Promise<ProxyPair> {
  return haproxy('HAProxy, HTTP/2', input, { mode: 'http', alpn: 'alpn h2', proto: 'proto h2' });
}

export function haproxyHttp1(input: PairInput): Promise<ProxyPair> {
  return haproxy('HAProxy, HTTP/1.1', input, { mode: 'http', alpn: '', proto: '' });
}

function haproxy(
  name: string,
  input: PairInput,
  { mode, alpn, proto }: Record<'mode' | 'alpn' | 'proto', string>,
): Promise<ProxyPair> {
  const { both, root } = input.files;
  const program = findProgram('haproxy', 'haproxy');
  const tls = `ssl ca-file ${root} crt ${both} ssl-min-ver TLSv1.3 ssl-max-ver TLSv1.3 no-tls-tickets ${alpn}`;
  return pair(name, input, ({ role, listen, to }) => {
    const bind = role === 'server' ? `${tls} verify required` : proto;
    const server = role === 'client' ? `${tls} verify required` : proto;
    const file = write(
      input.folder,
      `haproxy-${mode}-${role}.cfg`,
      `
global
  nbthread 1
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen ${role}
  bind 127.0.0.1:${listen} ${bind}
  server next 127.0.0.1:${to} ${server}
`,
    );
    return [program, '-db', '-f', file];
  });
}

const STREAM_MODULE = '/usr/lib/nginx/modules/ngx_stream_module.so';

/** Whether nginx can carry bytes without reading HTTP; Debian has that in `libnginx-mod-stream`. */
export function nginxHasStream(): boolean {
  return existsSync(STREAM_MODULE);
}

export function nginxStream(input: PairInput): Promise<ProxyPair> {
  const { cert, key, root } = input.files;
  return nginx('nginx, stream', input, ({ role, listen, to }) => ({
    head: `load_module ${STREAM_MODULE};`,
    body: `stream { server {
  ${role === 'server' ? `listen 127.0.0.1:${listen} ssl; ${serverTls(input)}` : `listen 127.0.0.1:${listen};`}
  tcp_nodelay on;
  proxy_pass 127.0.0.1:${to};
  ${role === 'client' ? `proxy_ssl on; proxy_ssl_certificate ${cert}; proxy_ssl_certificate_key ${key}; proxy_ssl_trusted_certificate ${root}; proxy_ssl_verify on; proxy_ssl_verify_depth 2; proxy_ssl_name callee; proxy_ssl_protocols TLSv1.3;` : ''}
} }`,
  }));
}

/** HTTP/2 at both ends of nginx exists for gRPC only, which to the proxy is any HTTP/2. */
export function nginxHttp(input: PairInput): Promise<ProxyPair> {
  const { cert, key, root } = input.files;
  const { folder } = input;
  return nginx('nginx, HTTP/2 (grpc_pass)', input, ({ role, listen, to }) => ({
    head: '',
    body: `http { access_log off; client_body_temp_path ${folder}/body-${role}; proxy_temp_path ${folder}/proxy-${role};
fastcgi_temp_path ${folder}/fastcgi-${role}; uwsgi_temp_path ${folder}/uwsgi-${role}; scgi_temp_path ${folder}/scgi-${role};
keepalive_requests 100000000; client_max_body_size 0;
upstream next { server 127.0.0.1:${to}; keepalive 256; keepalive_requests 100000000; }
server {
  listen 127.0.0.1:${listen} http2 ${role === 'server' ? `ssl; ${serverTls(input)}` : ';'}
  location / { grpc_pass ${role === 'client' ? 'grpcs' : 'grpc'}://next; grpc_ssl_certificate ${cert}; grpc_ssl_certificate_key ${key};
    grpc_ssl_trusted_certificate ${root}; grpc_ssl_verify on; grpc_ssl_verify_depth 2; grpc_ssl_name callee; grpc_ssl_protocols TLSv1.3; }
} }`,
  }));
}

export function nginxHttp1(input: PairInput): Promise<ProxyPair> {
  const { cert, key, root } = input.files;
  const { folder } = input;
  return nginx('nginx, HTTP/1.1', input, ({ role, listen, to }) => ({
    head: '',
    body: `http { access_log off; client_body_temp_path ${folder}/body1-${role}; proxy_temp_path ${folder}/proxy1-${role};
fastcgi_temp_path ${folder}/fastcgi1-${role}; uwsgi_temp_path ${folder}/uwsgi1-${role}; scgi_temp_path ${folder}/scgi1-${role};
keepalive_requests 100000000; client_max_body_size 0;
upstream next { server 127.0.0.1:${to}; keepalive 256; keepalive_requests 100000000; }
server {
  ${role === 'server' ? `listen 127.0.0.1:${listen} ssl; ${serverTls(input)}` : `listen 127.0.0.1:${listen};`}
  location / { proxy_pass ${role === 'client' ? 'https' : 'http'}://next; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    proxy_ssl_certificate ${cert}; proxy_ssl_certificate_key ${key}; proxy_ssl_trusted_certificate ${root}; proxy_ssl_verify on;
    proxy_ssl_verify_depth 2; proxy_ssl_name callee; proxy_ssl_protocols TLSv1.3; }
} }`,
  }));
}

function serverTls({ files }: PairInput): string {
  return `ssl_certificate ${files.cert}; ssl_certificate_key ${files.key}; ssl_client_certificate ${files.root};
  ssl_verify_client on; ssl_verify_depth 2; ssl_protocols TLSv1.3; ssl_session_tickets off;`;
}

function nginx(
  name: string,
  input: PairInput,
  config: (side: Side) => { head: string; body: string },
): Promise<ProxyPair> {
  const program = findProgram('nginx', 'nginx-light');
  return pair(name, input, (side) => {
    const { head, body } = config(side);
    const id = `nginx-${name.replace(/\W+/g, '-')}-${side.role}`;
    const file = write(
      input.folder,
      `${id}.conf`,
      `${head}
daemon off; master_process off; worker_processes 1; pid ${input.folder}/${id}.pid; error_log stderr error;
events { worker_connections 8192; }
${body}
`,
    );
    return [program, '-e', 'stderr', '-c', file];
  });
}

/** Starts both proxies. @param command how the one is started that listens and connects like this */
export async function pair(
  name: string,
  input: PairInput,
  command: (side: Side) => [string, ...string[]],
): Promise<ProxyPair> {
  const [entry, between] = [await freePort(), await freePort()];
  const start = async (side: Side) => {
    const child = new Child(command(side), input.folder);
    await listening(side.listen);
    return child;
  };
  const server = await start({ role: 'server', listen: between, to: input.backend });
  const client = await start({ role: 'client', listen: entry, to: between });
  return {
    name,
    port: entry,
    between,
    pids: [client.pid, server.pid],
    callerTo: async (to) => {
      const port = await freePort();
      const child = await start({ role: 'client', listen: port, to });
      return { port, stop: () => child.stop() };
    },
    stop: async () => void (await Promise.all([client.stop(), server.stop()])),
  };
}

function write(folder: string, name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}
