import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Ending as _ait_v1_Ending, Ending__Output as _ait_v1_Ending__Output } from './ait/v1/Ending.ts';

export interface ProtoGrpcType {
  ait: {
    v1: {
      Ending: MessageTypeDefinition<_ait_v1_Ending, _ait_v1_Ending__Output>
      WireReason: EnumTypeDefinition
    }
  }
}

