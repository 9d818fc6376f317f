import { fromJSON } from '@grpc/proto-loader';
import { loadPackageDefinition } from '@grpc/grpc-js';
import descriptor from './generated/descriptor.json' with { type: 'json' };
import type { ProtoGrpcType as AuthorityTypes } from './generated/authority.ts';
import type { ProtoGrpcType as DataTypes } from './generated/data.ts';
import type { ProtoGrpcType as ExchangeTypes } from './generated/exchange.ts';
import type { DataAnswer, DataAnswer__Output } from './generated/ait/v1/DataAnswer.ts';
import type { DataOpen, DataOpen__Output } from './generated/ait/v1/DataOpen.ts';

/**
 * The protocol of `proto/ait/v1`, loaded from the descriptor that is generated from it, so that a process needs no
 * `.proto` file beside it. Same options as the generated types.
 */
const definition = fromJSON(descriptor as Parameters<typeof fromJSON>[0], {
  longs: Number,
  enums: String,
  defaults: true,
  oneofs: true,
});

const { v1 } = (loadPackageDefinition(definition) as unknown as AuthorityTypes & ExchangeTypes).ait;

export const AgentIdentityExchangeClient = v1.AgentIdentityExchange;
export const JoinClient = v1.JoinService;
export const IdentityClient = v1.IdentityService;
export const StateClient = v1.StateService;
export const ReportClient = v1.ReportService;

export const exchangeService = v1.AgentIdentityExchange.service;
export const joinService = v1.JoinService.service;
export const identityService = v1.IdentityService.service;
export const stateService = v1.StateService.service;
export const reportService = v1.ReportService.service;

interface Codec<Input, Output> {
  encode(message: Input): Buffer;
  /** @throws Error on bytes that are not such a message */
  decode(bytes: Buffer): Output;
}

const dataTypes = (loadPackageDefinition(definition) as unknown as DataTypes).ait.v1;
export const dataOpenCodec = codecOf<DataOpen, DataOpen__Output>(dataTypes.DataOpen);
export const dataAnswerCodec = codecOf<DataAnswer, DataAnswer__Output>(dataTypes.DataAnswer);

function codecOf<Input, Output>(type: {
  serialize: (value: Input) => Buffer;
  deserialize: (bytes: Buffer) => Output;
}): Codec<Input, Output> {
  return { encode: (message) => type.serialize(message), decode: (bytes) => type.deserialize(bytes) };
}
