import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Accept as _ait_v1_Accept, Accept__Output as _ait_v1_Accept__Output } from './ait/v1/Accept.ts';
import type { AgentIdentityExchangeClient as _ait_v1_AgentIdentityExchangeClient, AgentIdentityExchangeDefinition as _ait_v1_AgentIdentityExchangeDefinition } from './ait/v1/AgentIdentityExchange.ts';
import type { AitUpdate as _ait_v1_AitUpdate, AitUpdate__Output as _ait_v1_AitUpdate__Output } from './ait/v1/AitUpdate.ts';
import type { Continuation as _ait_v1_Continuation, Continuation__Output as _ait_v1_Continuation__Output } from './ait/v1/Continuation.ts';
import type { Ending as _ait_v1_Ending, Ending__Output as _ait_v1_Ending__Output } from './ait/v1/Ending.ts';
import type { ExchangeRequest as _ait_v1_ExchangeRequest, ExchangeRequest__Output as _ait_v1_ExchangeRequest__Output } from './ait/v1/ExchangeRequest.ts';
import type { ExchangeResponse as _ait_v1_ExchangeResponse, ExchangeResponse__Output as _ait_v1_ExchangeResponse__Output } from './ait/v1/ExchangeResponse.ts';
import type { Heartbeat as _ait_v1_Heartbeat, Heartbeat__Output as _ait_v1_Heartbeat__Output } from './ait/v1/Heartbeat.ts';
import type { Hello as _ait_v1_Hello, Hello__Output as _ait_v1_Hello__Output } from './ait/v1/Hello.ts';
import type { Proof as _ait_v1_Proof, Proof__Output as _ait_v1_Proof__Output } from './ait/v1/Proof.ts';
import type { Reconnect as _ait_v1_Reconnect, Reconnect__Output as _ait_v1_Reconnect__Output } from './ait/v1/Reconnect.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  ait: {
    v1: {
      Accept: MessageTypeDefinition<_ait_v1_Accept, _ait_v1_Accept__Output>
      /**
       * Spoken between two sidecars, over TLS 1.3 with ALPN `h2` where both sides presented an X.509-SVID. One connection
       * carries exactly one Exchange stream; it lives as long as the session that it opened.
       */
      AgentIdentityExchange: SubtypeConstructor<typeof grpc.Client, _ait_v1_AgentIdentityExchangeClient> & { service: _ait_v1_AgentIdentityExchangeDefinition }
      AitUpdate: MessageTypeDefinition<_ait_v1_AitUpdate, _ait_v1_AitUpdate__Output>
      Continuation: MessageTypeDefinition<_ait_v1_Continuation, _ait_v1_Continuation__Output>
      Ending: MessageTypeDefinition<_ait_v1_Ending, _ait_v1_Ending__Output>
      ExchangeRequest: MessageTypeDefinition<_ait_v1_ExchangeRequest, _ait_v1_ExchangeRequest__Output>
      ExchangeResponse: MessageTypeDefinition<_ait_v1_ExchangeResponse, _ait_v1_ExchangeResponse__Output>
      Heartbeat: MessageTypeDefinition<_ait_v1_Heartbeat, _ait_v1_Heartbeat__Output>
      Hello: MessageTypeDefinition<_ait_v1_Hello, _ait_v1_Hello__Output>
      Proof: MessageTypeDefinition<_ait_v1_Proof, _ait_v1_Proof__Output>
      Reconnect: MessageTypeDefinition<_ait_v1_Reconnect, _ait_v1_Reconnect__Output>
      WireReason: EnumTypeDefinition
    }
  }
}

