import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { fromJSON, type MessageTypeDefinition } from '@grpc/proto-loader';

/** gRPC status codes a service of ours answers with. */
export type StatusName = Exclude<keyof typeof status, 'OK'>;

/** The domain under which our reasons stand in `google.rpc.ErrorInfo`. */
export const ERROR_DOMAIN = 'ait-mesh';

/**
 * `google.rpc.Status` and `google.rpc.ErrorInfo` (googleapis, google/rpc), with their public field numbers: the
 * standard way to give a machine-readable reason with a gRPC error.
 */
const RPC_TYPES = {
  nested: {
    google: {
      nested: {
        rpc: {
          nested: {
            Status: {
              fields: {
                code: { type: 'int32', id: 1 },
                message: { type: 'string', id: 2 },
                details: { rule: 'repeated', type: 'Detail', id: 3 },
              },
            },
            // google.protobuf.Any, spelled out so that no JSON mapping is applied to it.
            Detail: { fields: { typeUrl: { type: 'string', id: 1 }, value: { type: 'bytes', id: 2 } } },
            ErrorInfo: {
              fields: {
                reason: { type: 'string', id: 1 },
                domain: { type: 'string', id: 2 },
                metadata: { keyType: 'string', type: 'string', id: 3 },
              },
            },
          },
        },
      },
    },
  },
};
const definition = fromJSON(RPC_TYPES);
const rpcStatus = definition['google.rpc.Status'] as MessageTypeDefinition<object, RpcStatus>;
const errorInfo = definition['google.rpc.ErrorInfo'] as MessageTypeDefinition<object, ErrorInfo>;

interface RpcStatus {
  details?: { typeUrl?: string; value?: Buffer }[];
}

interface ErrorInfo {
  reason?: string;
  domain?: string;
  metadata?: Record<string, string>;
}

export interface ServiceErrorInput {
  readonly grpc: StatusName;
  /** Our stable code, for example `JOIN_CREDENTIAL_EXPIRED`. */
  readonly code: string;
  readonly message: string;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Longest text put into a status, in characters; headers are bounded, and so is what a peer may make us print. */
const MAX_TEXT_CHARS = 1000;

/** A lone surrogate in status text throws inside grpc-js and would end the process. */
function safeText(text: string): string {
  return text.toWellFormed().slice(0, MAX_TEXT_CHARS).toWellFormed();
}

/** What goes into the status of a failed call: its number, its text, and `google.rpc.Status` with our `ErrorInfo`. */
export interface StatusDetails {
  /** gRPC's number, 0 to 16. */
  readonly code: number;
  readonly text: string;
  /** For `grpc-status-details-bin`, not yet in base64. */
  readonly details: Buffer;
}

export function statusDetails({ grpc, code, message, metadata = {} }: ServiceErrorInput): StatusDetails {
  const text = safeText(message);
  const info = errorInfo.serialize({ reason: code, domain: ERROR_DOMAIN, metadata });
  const details = rpcStatus.serialize({
    code: status[grpc],
    message: text,
    details: [{ typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo', value: info }],
  });
  return { code: status[grpc], text, details };
}

export function toServiceError(input: ServiceErrorInput): ServiceError {
  const { code, text, details } = statusDetails(input);
  const trailers = new Metadata();
  trailers.set('grpc-status-details-bin', details);
  return Object.assign(new Error(text), { code, details: text, metadata: trailers });
}

/** Our code inside a gRPC error, or `undefined` where the error carries none of ours. */
export function reasonOf(error: Partial<ServiceError>): string | undefined {
  const [packed] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (!Buffer.isBuffer(packed)) return undefined;
  try {
    for (const detail of rpcStatus.deserialize(packed).details ?? []) {
      if (detail.typeUrl?.endsWith('/google.rpc.ErrorInfo') !== true || detail.value === undefined) continue;
      const info = errorInfo.deserialize(detail.value);
      if (info.domain === ERROR_DOMAIN && info.reason !== undefined) return info.reason;
    }
  } catch {
    // Not a google.rpc.Status: somebody else's server answered, and it has no reason of ours to tell.
  }
  return undefined;
}
