// Original file: proto/ait/v1/authority.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { WatchRequest as _ait_v1_WatchRequest, WatchRequest__Output as _ait_v1_WatchRequest__Output } from '../../ait/v1/WatchRequest.ts';
import type { WatchResponse as _ait_v1_WatchResponse, WatchResponse__Output as _ait_v1_WatchResponse__Output } from '../../ait/v1/WatchResponse.ts';

/**
 * The only way in which the authority's state reaches sidecars.
 */
export interface StateServiceClient extends grpc.Client {
  /**
   * Streams the part of the state that concerns the calling agent: first whole, then what changed.
   */
  Watch(argument: _ait_v1_WatchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_ait_v1_WatchResponse__Output>;
  Watch(argument: _ait_v1_WatchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_ait_v1_WatchResponse__Output>;
  /**
   * Streams the part of the state that concerns the calling agent: first whole, then what changed.
   */
  watch(argument: _ait_v1_WatchRequest, metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientReadableStream<_ait_v1_WatchResponse__Output>;
  watch(argument: _ait_v1_WatchRequest, options?: grpc.CallOptions): grpc.ClientReadableStream<_ait_v1_WatchResponse__Output>;
  
}

/**
 * The only way in which the authority's state reaches sidecars.
 */
export interface StateServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Streams the part of the state that concerns the calling agent: first whole, then what changed.
   */
  Watch: grpc.handleServerStreamingCall<_ait_v1_WatchRequest__Output, _ait_v1_WatchResponse>;
  
}

export interface StateServiceDefinition extends grpc.ServiceDefinition {
  Watch: MethodDefinition<_ait_v1_WatchRequest, _ait_v1_WatchResponse, _ait_v1_WatchRequest__Output, _ait_v1_WatchResponse__Output>
}
