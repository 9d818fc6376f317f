import { sign, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  bitString,
  booleanTrue,
  contextMembers,
  contextValue,
  decode,
  encode,
  octetString,
  oid,
  sequence,
  set,
  time,
  unsignedInteger,
  utf8String,
} from '../../../src/crypto/asn1.ts';
import type { Asn1 } from '../../../src/crypto/asn1.ts';
import { OID } from '../../../src/crypto/certificate-fields.ts';
import { generateKeyPair } from '../../../src/crypto/keys.ts';
import type { Issuer } from '../../../src/crypto/x509-issuer.ts';
import { HOUR, nextSerial, NOW } from './fixture.ts';

export const uri = (text: string): Asn1 => contextValue(6, Buffer.from(text, 'latin1'));
export const dns = (text: string): Asn1 => contextValue(2, Buffer.from(text, 'latin1'));

export interface Oddity {
  readonly names?: readonly Asn1[] | undefined;
  readonly purposes?: readonly string[];
  readonly keyUsage?: number;
  readonly ca?: boolean;
  readonly publicKey?: KeyObject;
  readonly commonName?: string;
  readonly extra?: readonly Asn1[];
  readonly version?: number;
}

/** A certificate that is an SVID but for what is asked for: the forger that no authority is. */
export function oddCertificate(issuer: Issuer, odd: Oddity): X509Certificate {
  const {
    purposes = [OID.serverAuth, OID.clientAuth],
    keyUsage = 0x80,
    ca = false,
    publicKey = generateKeyPair().publicKey,
    extra = [],
    version = 2,
  } = odd;
  const names = 'names' in odd ? odd.names : [uri('spiffe://acme.example/agent/planner')];
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const subject =
    odd.commonName === undefined
      ? sequence()
      : sequence(set(sequence(oid(OID.commonName), utf8String(odd.commonName))));
  const tbs = sequence(
    contextMembers(0, unsignedInteger(Buffer.from([version]))),
    unsignedInteger(nextSerial()),
    algorithm,
    decode(issuer.name, 4096),
    sequence(time(NOW - HOUR), time(NOW + HOUR)),
    subject,
    decode(publicKey.export({ format: 'der', type: 'spki' }), 4096),
    contextMembers(
      3,
      sequence(
        extension(OID.basicConstraints, ca ? sequence(booleanTrue()) : sequence(), true),
        extension(OID.keyUsage, bitString(Buffer.from([keyUsage])), true),
        ...(purposes.length > 0 ? [extension(OID.extendedKeyUsage, sequence(...purposes.map(oid)), false)] : []),
        ...(names === undefined ? [] : [extension(OID.subjectAltName, sequence(...names), false)]),
        ...extra,
      ),
    ),
  );
  const signature = bitString(sign('sha256', encode(tbs), issuer.privateKey));
  return new X509Certificate(encode(sequence(tbs, algorithm, signature)));
}

export function extension(id: string, value: Asn1, critical: boolean): Asn1 {
  return sequence(oid(id), ...(critical ? [booleanTrue()] : []), octetString(encode(value)));
}
