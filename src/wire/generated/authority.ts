import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { Blocker as _ait_v1_Blocker, Blocker__Output as _ait_v1_Blocker__Output } from './ait/v1/Blocker.ts';
import type { Decision as _ait_v1_Decision, Decision__Output as _ait_v1_Decision__Output } from './ait/v1/Decision.ts';
import type { DimensionDifference as _ait_v1_DimensionDifference, DimensionDifference__Output as _ait_v1_DimensionDifference__Output } from './ait/v1/DimensionDifference.ts';
import type { GetTrustBundleRequest as _ait_v1_GetTrustBundleRequest, GetTrustBundleRequest__Output as _ait_v1_GetTrustBundleRequest__Output } from './ait/v1/GetTrustBundleRequest.ts';
import type { GetTrustBundleResponse as _ait_v1_GetTrustBundleResponse, GetTrustBundleResponse__Output as _ait_v1_GetTrustBundleResponse__Output } from './ait/v1/GetTrustBundleResponse.ts';
import type { IdentityServiceClient as _ait_v1_IdentityServiceClient, IdentityServiceDefinition as _ait_v1_IdentityServiceDefinition } from './ait/v1/IdentityService.ts';
import type { InstanceStatus as _ait_v1_InstanceStatus, InstanceStatus__Output as _ait_v1_InstanceStatus__Output } from './ait/v1/InstanceStatus.ts';
import type { IssueAitRequest as _ait_v1_IssueAitRequest, IssueAitRequest__Output as _ait_v1_IssueAitRequest__Output } from './ait/v1/IssueAitRequest.ts';
import type { IssueAitResponse as _ait_v1_IssueAitResponse, IssueAitResponse__Output as _ait_v1_IssueAitResponse__Output } from './ait/v1/IssueAitResponse.ts';
import type { JoinRequest as _ait_v1_JoinRequest, JoinRequest__Output as _ait_v1_JoinRequest__Output } from './ait/v1/JoinRequest.ts';
import type { JoinResponse as _ait_v1_JoinResponse, JoinResponse__Output as _ait_v1_JoinResponse__Output } from './ait/v1/JoinResponse.ts';
import type { JoinServiceClient as _ait_v1_JoinServiceClient, JoinServiceDefinition as _ait_v1_JoinServiceDefinition } from './ait/v1/JoinService.ts';
import type { OperatorAnswer as _ait_v1_OperatorAnswer, OperatorAnswer__Output as _ait_v1_OperatorAnswer__Output } from './ait/v1/OperatorAnswer.ts';
import type { OperatorQuestion as _ait_v1_OperatorQuestion, OperatorQuestion__Output as _ait_v1_OperatorQuestion__Output } from './ait/v1/OperatorQuestion.ts';
import type { PromptDifference as _ait_v1_PromptDifference, PromptDifference__Output as _ait_v1_PromptDifference__Output } from './ait/v1/PromptDifference.ts';
import type { PromptDifferenceQuestion as _ait_v1_PromptDifferenceQuestion, PromptDifferenceQuestion__Output as _ait_v1_PromptDifferenceQuestion__Output } from './ait/v1/PromptDifferenceQuestion.ts';
import type { PromptDifferences as _ait_v1_PromptDifferences, PromptDifferences__Output as _ait_v1_PromptDifferences__Output } from './ait/v1/PromptDifferences.ts';
import type { RenewSvidRequest as _ait_v1_RenewSvidRequest, RenewSvidRequest__Output as _ait_v1_RenewSvidRequest__Output } from './ait/v1/RenewSvidRequest.ts';
import type { RenewSvidResponse as _ait_v1_RenewSvidResponse, RenewSvidResponse__Output as _ait_v1_RenewSvidResponse__Output } from './ait/v1/RenewSvidResponse.ts';
import type { ReportRequest as _ait_v1_ReportRequest, ReportRequest__Output as _ait_v1_ReportRequest__Output } from './ait/v1/ReportRequest.ts';
import type { ReportResponse as _ait_v1_ReportResponse, ReportResponse__Output as _ait_v1_ReportResponse__Output } from './ait/v1/ReportResponse.ts';
import type { ReportServiceClient as _ait_v1_ReportServiceClient, ReportServiceDefinition as _ait_v1_ReportServiceDefinition } from './ait/v1/ReportService.ts';
import type { SessionList as _ait_v1_SessionList, SessionList__Output as _ait_v1_SessionList__Output } from './ait/v1/SessionList.ts';
import type { SessionSummary as _ait_v1_SessionSummary, SessionSummary__Output as _ait_v1_SessionSummary__Output } from './ait/v1/SessionSummary.ts';
import type { StateServiceClient as _ait_v1_StateServiceClient, StateServiceDefinition as _ait_v1_StateServiceDefinition } from './ait/v1/StateService.ts';
import type { WatchRequest as _ait_v1_WatchRequest, WatchRequest__Output as _ait_v1_WatchRequest__Output } from './ait/v1/WatchRequest.ts';
import type { WatchResponse as _ait_v1_WatchResponse, WatchResponse__Output as _ait_v1_WatchResponse__Output } from './ait/v1/WatchResponse.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  ait: {
    v1: {
      Blocker: MessageTypeDefinition<_ait_v1_Blocker, _ait_v1_Blocker__Output>
      Decision: MessageTypeDefinition<_ait_v1_Decision, _ait_v1_Decision__Output>
      DimensionDifference: MessageTypeDefinition<_ait_v1_DimensionDifference, _ait_v1_DimensionDifference__Output>
      GetTrustBundleRequest: MessageTypeDefinition<_ait_v1_GetTrustBundleRequest, _ait_v1_GetTrustBundleRequest__Output>
      GetTrustBundleResponse: MessageTypeDefinition<_ait_v1_GetTrustBundleResponse, _ait_v1_GetTrustBundleResponse__Output>
      /**
       * What an instance asks for over mTLS with its own SVID. Inference services renew and ask for the bundle; the rest is for
       * agents.
       */
      IdentityService: SubtypeConstructor<typeof grpc.Client, _ait_v1_IdentityServiceClient> & { service: _ait_v1_IdentityServiceDefinition }
      InstanceStatus: MessageTypeDefinition<_ait_v1_InstanceStatus, _ait_v1_InstanceStatus__Output>
      IssueAitRequest: MessageTypeDefinition<_ait_v1_IssueAitRequest, _ait_v1_IssueAitRequest__Output>
      IssueAitResponse: MessageTypeDefinition<_ait_v1_IssueAitResponse, _ait_v1_IssueAitResponse__Output>
      JoinRequest: MessageTypeDefinition<_ait_v1_JoinRequest, _ait_v1_JoinRequest__Output>
      JoinResponse: MessageTypeDefinition<_ait_v1_JoinResponse, _ait_v1_JoinResponse__Output>
      /**
       * Lets a new instance into the mesh. The only service that is reached without a client certificate: the caller checks
       * the authority against the root whose SHA-256 stands in its join credential, the authority checks the credential.
       */
      JoinService: SubtypeConstructor<typeof grpc.Client, _ait_v1_JoinServiceClient> & { service: _ait_v1_JoinServiceDefinition }
      OperatorAnswer: MessageTypeDefinition<_ait_v1_OperatorAnswer, _ait_v1_OperatorAnswer__Output>
      OperatorQuestion: MessageTypeDefinition<_ait_v1_OperatorQuestion, _ait_v1_OperatorQuestion__Output>
      PromptDifference: MessageTypeDefinition<_ait_v1_PromptDifference, _ait_v1_PromptDifference__Output>
      PromptDifferenceQuestion: MessageTypeDefinition<_ait_v1_PromptDifferenceQuestion, _ait_v1_PromptDifferenceQuestion__Output>
      PromptDifferences: MessageTypeDefinition<_ait_v1_PromptDifferences, _ait_v1_PromptDifferences__Output>
      RenewSvidRequest: MessageTypeDefinition<_ait_v1_RenewSvidRequest, _ait_v1_RenewSvidRequest__Output>
      RenewSvidResponse: MessageTypeDefinition<_ait_v1_RenewSvidResponse, _ait_v1_RenewSvidResponse__Output>
      ReportRequest: MessageTypeDefinition<_ait_v1_ReportRequest, _ait_v1_ReportRequest__Output>
      ReportResponse: MessageTypeDefinition<_ait_v1_ReportResponse, _ait_v1_ReportResponse__Output>
      /**
       * The only way in which facts come back to the authority.
       */
      ReportService: SubtypeConstructor<typeof grpc.Client, _ait_v1_ReportServiceClient> & { service: _ait_v1_ReportServiceDefinition }
      SessionList: MessageTypeDefinition<_ait_v1_SessionList, _ait_v1_SessionList__Output>
      SessionSummary: MessageTypeDefinition<_ait_v1_SessionSummary, _ait_v1_SessionSummary__Output>
      /**
       * The only way in which the authority's state reaches sidecars.
       */
      StateService: SubtypeConstructor<typeof grpc.Client, _ait_v1_StateServiceClient> & { service: _ait_v1_StateServiceDefinition }
      WatchRequest: MessageTypeDefinition<_ait_v1_WatchRequest, _ait_v1_WatchRequest__Output>
      WatchResponse: MessageTypeDefinition<_ait_v1_WatchResponse, _ait_v1_WatchResponse__Output>
    }
  }
}

