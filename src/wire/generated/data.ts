import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { DataAccepted as _ait_v1_DataAccepted, DataAccepted__Output as _ait_v1_DataAccepted__Output } from './ait/v1/DataAccepted.ts';
import type { DataAnswer as _ait_v1_DataAnswer, DataAnswer__Output as _ait_v1_DataAnswer__Output } from './ait/v1/DataAnswer.ts';
import type { DataOpen as _ait_v1_DataOpen, DataOpen__Output as _ait_v1_DataOpen__Output } from './ait/v1/DataOpen.ts';
import type { Ending as _ait_v1_Ending, Ending__Output as _ait_v1_Ending__Output } from './ait/v1/Ending.ts';

export interface ProtoGrpcType {
  ait: {
    v1: {
      DataAccepted: MessageTypeDefinition<_ait_v1_DataAccepted, _ait_v1_DataAccepted__Output>
      DataAnswer: MessageTypeDefinition<_ait_v1_DataAnswer, _ait_v1_DataAnswer__Output>
      DataOpen: MessageTypeDefinition<_ait_v1_DataOpen, _ait_v1_DataOpen__Output>
      Ending: MessageTypeDefinition<_ait_v1_Ending, _ait_v1_Ending__Output>
      WireReason: EnumTypeDefinition
    }
  }
}

