// Original file: proto/ait/v1/exchange.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ExchangeRequest as _ait_v1_ExchangeRequest, ExchangeRequest__Output as _ait_v1_ExchangeRequest__Output } from '../../ait/v1/ExchangeRequest.ts';
import type { ExchangeResponse as _ait_v1_ExchangeResponse, ExchangeResponse__Output as _ait_v1_ExchangeResponse__Output } from '../../ait/v1/ExchangeResponse.ts';

/**
 * Spoken between two sidecars, over TLS 1.3 with ALPN `h2` where both sides presented an X.509-SVID. One connection
 * carries exactly one Exchange stream; it lives as long as the session that it opened.
 */
export interface AgentIdentityExchangeClient extends grpc.Client {
  /**
   * Swaps Agent Identity Tokens and keeps proving them.
   * 
   * dialler                           acceptor
   * Hello ------------------------------->
   * <---------------------- Hello, Proof
   * Proof, Accept ----------------------->
   * <---------------------------- Accept
   * Heartbeat, AitUpdate <--------------> Heartbeat, AitUpdate
   * Goodbye <-------------------------------------> Goodbye
   * 
   * Either side may send Reject instead of its Accept, and Goodbye at any later time; each is the last message of its
   * direction. A side may use the session only when it has both sent and received Accept.
   */
  Exchange(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_ait_v1_ExchangeRequest, _ait_v1_ExchangeResponse__Output>;
  Exchange(options?: grpc.CallOptions): grpc.ClientDuplexStream<_ait_v1_ExchangeRequest, _ait_v1_ExchangeResponse__Output>;
  /**
   * Swaps Agent Identity Tokens and keeps proving them.
   * 
   * dialler                           acceptor
   * Hello ------------------------------->
   * <---------------------- Hello, Proof
   * Proof, Accept ----------------------->
   * <---------------------------- Accept
   * Heartbeat, AitUpdate <--------------> Heartbeat, AitUpdate
   * Goodbye <-------------------------------------> Goodbye
   * 
   * Either side may send Reject instead of its Accept, and Goodbye at any later time; each is the last message of its
   * direction. A side may use the session only when it has both sent and received Accept.
   */
  exchange(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_ait_v1_ExchangeRequest, _ait_v1_ExchangeResponse__Output>;
  exchange(options?: grpc.CallOptions): grpc.ClientDuplexStream<_ait_v1_ExchangeRequest, _ait_v1_ExchangeResponse__Output>;
  
}

/**
 * Spoken between two sidecars, over TLS 1.3 with ALPN `h2` where both sides presented an X.509-SVID. One connection
 * carries exactly one Exchange stream; it lives as long as the session that it opened.
 */
export interface AgentIdentityExchangeHandlers extends grpc.UntypedServiceImplementation {
  /**
   * Swaps Agent Identity Tokens and keeps proving them.
   * 
   * dialler                           acceptor
   * Hello ------------------------------->
   * <---------------------- Hello, Proof
   * Proof, Accept ----------------------->
   * <---------------------------- Accept
   * Heartbeat, AitUpdate <--------------> Heartbeat, AitUpdate
   * Goodbye <-------------------------------------> Goodbye
   * 
   * Either side may send Reject instead of its Accept, and Goodbye at any later time; each is the last message of its
   * direction. A side may use the session only when it has both sent and received Accept.
   */
  Exchange: grpc.handleBidiStreamingCall<_ait_v1_ExchangeRequest__Output, _ait_v1_ExchangeResponse>;
  
}

export interface AgentIdentityExchangeDefinition extends grpc.ServiceDefinition {
  Exchange: MethodDefinition<_ait_v1_ExchangeRequest, _ait_v1_ExchangeResponse, _ait_v1_ExchangeRequest__Output, _ait_v1_ExchangeResponse__Output>
}
