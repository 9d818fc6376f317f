// Original file: proto/ait/v1/authority.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { GetTrustBundleRequest as _ait_v1_GetTrustBundleRequest, GetTrustBundleRequest__Output as _ait_v1_GetTrustBundleRequest__Output } from '../../ait/v1/GetTrustBundleRequest.ts';
import type { GetTrustBundleResponse as _ait_v1_GetTrustBundleResponse, GetTrustBundleResponse__Output as _ait_v1_GetTrustBundleResponse__Output } from '../../ait/v1/GetTrustBundleResponse.ts';
import type { IssueAitRequest as _ait_v1_IssueAitRequest, IssueAitRequest__Output as _ait_v1_IssueAitRequest__Output } from '../../ait/v1/IssueAitRequest.ts';
import type { IssueAitResponse as _ait_v1_IssueAitResponse, IssueAitResponse__Output as _ait_v1_IssueAitResponse__Output } from '../../ait/v1/IssueAitResponse.ts';
import type { RenewSvidRequest as _ait_v1_RenewSvidRequest, RenewSvidRequest__Output as _ait_v1_RenewSvidRequest__Output } from '../../ait/v1/RenewSvidRequest.ts';
import type { RenewSvidResponse as _ait_v1_RenewSvidResponse, RenewSvidResponse__Output as _ait_v1_RenewSvidResponse__Output } from '../../ait/v1/RenewSvidResponse.ts';

/**
 * What an instance asks for over mTLS with its own SVID. Inference services renew and ask for the bundle; the rest is for
 * agents.
 */
export interface IdentityServiceClient extends grpc.Client {
  /**
   * Tells whom to trust now. For members without a Watch: inference services ask again and again.
   */
  GetTrustBundle(argument: _ait_v1_GetTrustBundleRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_GetTrustBundleResponse__Output>): grpc.ClientUnaryCall;
  GetTrustBundle(argument: _ait_v1_GetTrustBundleRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ait_v1_GetTrustBundleResponse__Output>): grpc.ClientUnaryCall;
  GetTrustBundle(argument: _ait_v1_GetTrustBundleRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_GetTrustBundleResponse__Output>): grpc.ClientUnaryCall;
  GetTrustBundle(argument: _ait_v1_GetTrustBundleRequest, callback: grpc.requestCallback<_ait_v1_GetTrustBundleResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Tells whom to trust now. For members without a Watch: inference services ask again and again.
   */
  getTrustBundle(argument: _ait_v1_GetTrustBundleRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_GetTrustBundleResponse__Output>): grpc.ClientUnaryCall;
  getTrustBundle(argument: _ait_v1_GetTrustBundleRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ait_v1_GetTrustBundleResponse__Output>): grpc.ClientUnaryCall;
  getTrustBundle(argument: _ait_v1_GetTrustBundleRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_GetTrustBundleResponse__Output>): grpc.ClientUnaryCall;
  getTrustBundle(argument: _ait_v1_GetTrustBundleRequest, callback: grpc.requestCallback<_ait_v1_GetTrustBundleResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Issues an Agent Identity Token over the measurement in the request, bound to the certificate on this connection.
   */
  IssueAit(argument: _ait_v1_IssueAitRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_IssueAitResponse__Output>): grpc.ClientUnaryCall;
  IssueAit(argument: _ait_v1_IssueAitRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ait_v1_IssueAitResponse__Output>): grpc.ClientUnaryCall;
  IssueAit(argument: _ait_v1_IssueAitRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_IssueAitResponse__Output>): grpc.ClientUnaryCall;
  IssueAit(argument: _ait_v1_IssueAitRequest, callback: grpc.requestCallback<_ait_v1_IssueAitResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Issues an Agent Identity Token over the measurement in the request, bound to the certificate on this connection.
   */
  issueAit(argument: _ait_v1_IssueAitRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_IssueAitResponse__Output>): grpc.ClientUnaryCall;
  issueAit(argument: _ait_v1_IssueAitRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ait_v1_IssueAitResponse__Output>): grpc.ClientUnaryCall;
  issueAit(argument: _ait_v1_IssueAitRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_IssueAitResponse__Output>): grpc.ClientUnaryCall;
  issueAit(argument: _ait_v1_IssueAitRequest, callback: grpc.requestCallback<_ait_v1_IssueAitResponse__Output>): grpc.ClientUnaryCall;
  
  /**
   * Issues the next SVID to the instance that presents the current one.
   */
  RenewSvid(argument: _ait_v1_RenewSvidRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_RenewSvidResponse__Output>): grpc.ClientUnaryCall;
  RenewSvid(argument: _ait_v1_RenewSvidRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ait_v1_RenewSvidResponse__Output>): grpc.ClientUnaryCall;
  RenewSvid(argument: _ait_v1_RenewSvidRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_RenewSvidResponse__Output>): grpc.ClientUnaryCall;
  RenewSvid(argument: _ait_v1_RenewSvidRequest, callback: grpc.requestCallback<_ait_v1_RenewSvidResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Issues the next SVID to the instance that presents the current one.
   */
  renewSvid(argument: _ait_v1_RenewSvidRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_RenewSvidResponse__Output>): grpc.ClientUnaryCall;
  renewSvid(argument: _ait_v1_RenewSvidRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ait_v1_RenewSvidResponse__Output>): grpc.ClientUnaryCall;
  renewSvid(argument: _ait_v1_RenewSvidRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_RenewSvidResponse__Output>): grpc.ClientUnaryCall;
  renewSvid(argument: _ait_v1_RenewSvidRequest, callback: grpc.requestCallback<_ait_v1_RenewSvidResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * What an instance asks for over mTLS with its own SVID. Inference services renew and ask for the bundle; the rest is for
 * agents.
 */
export interface IdentityServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Tells whom to trust now. For members without a Watch: inference services ask again and again.
   */
  GetTrustBundle: grpc.handleUnaryCall<_ait_v1_GetTrustBundleRequest__Output, _ait_v1_GetTrustBundleResponse>;
  
  /**
   * Issues an Agent Identity Token over the measurement in the request, bound to the certificate on this connection.
   */
  IssueAit: grpc.handleUnaryCall<_ait_v1_IssueAitRequest__Output, _ait_v1_IssueAitResponse>;
  
  /**
   * Issues the next SVID to the instance that presents the current one.
   */
  RenewSvid: grpc.handleUnaryCall<_ait_v1_RenewSvidRequest__Output, _ait_v1_RenewSvidResponse>;
  
}

export interface IdentityServiceDefinition extends grpc.ServiceDefinition {
  GetTrustBundle: MethodDefinition<_ait_v1_GetTrustBundleRequest, _ait_v1_GetTrustBundleResponse, _ait_v1_GetTrustBundleRequest__Output, _ait_v1_GetTrustBundleResponse__Output>
  IssueAit: MethodDefinition<_ait_v1_IssueAitRequest, _ait_v1_IssueAitResponse, _ait_v1_IssueAitRequest__Output, _ait_v1_IssueAitResponse__Output>
  RenewSvid: MethodDefinition<_ait_v1_RenewSvidRequest, _ait_v1_RenewSvidResponse, _ait_v1_RenewSvidRequest__Output, _ait_v1_RenewSvidResponse__Output>
}
