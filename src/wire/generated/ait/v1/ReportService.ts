// Original file: proto/ait/v1/authority.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ReportRequest as _ait_v1_ReportRequest, ReportRequest__Output as _ait_v1_ReportRequest__Output } from '../../ait/v1/ReportRequest.ts';
import type { ReportResponse as _ait_v1_ReportResponse, ReportResponse__Output as _ait_v1_ReportResponse__Output } from '../../ait/v1/ReportResponse.ts';

/**
 * The only way in which facts come back to the authority.
 */
export interface ReportServiceClient extends grpc.Client {
  /**
   * Sends facts as they arise. The authority acknowledges what it has taken; enforcement never waits for it.
   */
  Report(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_ait_v1_ReportRequest, _ait_v1_ReportResponse__Output>;
  Report(options?: grpc.CallOptions): grpc.ClientDuplexStream<_ait_v1_ReportRequest, _ait_v1_ReportResponse__Output>;
  /**
   * Sends facts as they arise. The authority acknowledges what it has taken; enforcement never waits for it.
   */
  report(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_ait_v1_ReportRequest, _ait_v1_ReportResponse__Output>;
  report(options?: grpc.CallOptions): grpc.ClientDuplexStream<_ait_v1_ReportRequest, _ait_v1_ReportResponse__Output>;
  
}

/**
 * The only way in which facts come back to the authority.
 */
export interface ReportServiceHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Sends facts as they arise. The authority acknowledges what it has taken; enforcement never waits for it.
   */
  Report: grpc.handleBidiStreamingCall<_ait_v1_ReportRequest__Output, _ait_v1_ReportResponse>;
  
}

export interface ReportServiceDefinition extends grpc.ServiceDefinition {
  Report: MethodDefinition<_ait_v1_ReportRequest, _ait_v1_ReportResponse, _ait_v1_ReportRequest__Output, _ait_v1_ReportResponse__Output>
}
