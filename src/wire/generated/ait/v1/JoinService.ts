// Original file: proto/ait/v1/authority.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { JoinRequest as _ait_v1_JoinRequest, JoinRequest__Output as _ait_v1_JoinRequest__Output } from '../../ait/v1/JoinRequest.ts';
import type { JoinResponse as _ait_v1_JoinResponse, JoinResponse__Output as _ait_v1_JoinResponse__Output } from '../../ait/v1/JoinResponse.ts';

/**
 * Lets a new instance into the mesh. The only service that is reached without a client certificate: the caller checks
 * the authority against the root whose SHA-256 stands in its join credential, the authority checks the credential.
 */
export interface JoinServiceClient extends grpc.Client {
  /**
   * Spends one use of a join credential and issues the instance's first SVID.
   */
  Join(argument: _ait_v1_JoinRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_JoinResponse__Output>): grpc.ClientUnaryCall;
  Join(argument: _ait_v1_JoinRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ait_v1_JoinResponse__Output>): grpc.ClientUnaryCall;
  Join(argument: _ait_v1_JoinRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_JoinResponse__Output>): grpc.ClientUnaryCall;
  Join(argument: _ait_v1_JoinRequest, callback: grpc.requestCallback<_ait_v1_JoinResponse__Output>): grpc.ClientUnaryCall;
  /**
   * Spends one use of a join credential and issues the instance's first SVID.
   */
  join(argument: _ait_v1_JoinRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_JoinResponse__Output>): grpc.ClientUnaryCall;
  join(argument: _ait_v1_JoinRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_ait_v1_JoinResponse__Output>): grpc.ClientUnaryCall;
  join(argument: _ait_v1_JoinRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_ait_v1_JoinResponse__Output>): grpc.ClientUnaryCall;
  join(argument: _ait_v1_JoinRequest, callback: grpc.requestCallback<_ait_v1_JoinResponse__Output>): grpc.ClientUnaryCall;
  
}

/**
 * Lets a new instance into the mesh. The only service that is reached without a client certificate: the caller checks
 * the authority against the root whose SHA-256 stands in its join credential, the authority checks the credential.
 */
export interface JoinServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Spends one use of a join credential and issues the instance's first SVID.
   */
  Join: grpc.handleUnaryCall<_ait_v1_JoinRequest__Output, _ait_v1_JoinResponse>;
  
}

export interface JoinServiceDefinition extends grpc.ServiceDefinition {
  Join: MethodDefinition<_ait_v1_JoinRequest, _ait_v1_JoinResponse, _ait_v1_JoinRequest__Output, _ait_v1_JoinResponse__Output>
}
