import { createPublicKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { MeshError } from '../domain/mesh-error.ts';
import {
  Asn1Error,
  bitsOf,
  bitString,
  bytesOf,
  contextMembers,
  contextOf,
  decode,
  encode,
  membersOf,
  oid,
  oidOf,
  sequence,
  TAG,
  unsignedInteger,
} from './asn1.ts';
import type { Asn1 } from './asn1.ts';
import { OID } from './certificate-fields.ts';
import { assertP256, isP256 } from './keys.ts';
import type { KeyPair } from './keys.ts';

const MAX_CSR_BYTES = 4096;

/**
 * A PKCS#10 request (RFC 2986) in DER, with an empty subject and no attributes: who the requester is, its credential
 * says.
 *
 * @throws MeshError `KEY_INVALID`
 */
export function createCsr({ keyPair }: { readonly keyPair: KeyPair }): Buffer {
  const { publicKey, privateKey } = keyPair;
  assertP256(publicKey, 'public');
  assertP256(privateKey, 'private');
  const info = sequence(
    unsignedInteger(Buffer.from([0])),
    sequence(),
    decode(publicKey.export({ format: 'der', type: 'spki' }), MAX_CSR_BYTES),
    contextMembers(0),
  );
  return encode(
    sequence(info, sequence(oid(OID.ecdsaWithSha256)), bitString(sign('sha256', encode(info), privateKey))),
  );
}

/**
 * Reads a PKCS#10 request (RFC 2986 section 4) of at most 4 KiB and returns its public key, after the requester has
 * proven that it holds the private one. Subject, attributes and the extensions asked for are ignored: the identity
 * comes from the credential or certificate that the request came with. Fails closed.
 *
 * @throws MeshError `CSR_INVALID`
 */
export function parseCsr(der: Uint8Array): KeyObject {
  try {
    const members = membersOf(decode(der, MAX_CSR_BYTES), 'the request');
    const [info, algorithm, signature] = members;
    const [version, subject, spki, attributes, ...rest] = membersOf(info, 'the request info');
    if (members.length !== 3 || rest.length > 0) throw new Asn1Error('it has members that do not belong there');
    if (!bytesOf(version, 'the version', TAG.INTEGER).equals(Buffer.from([0]))) throw new Asn1Error('not version 1');
    membersOf(subject, 'the subject');
    if (!Array.isArray(contextOf(attributes, 0))) throw new Asn1Error('the attributes are missing');
    const [algorithmId, ...parameters] = membersOf(algorithm, 'the algorithm');
    if (oidOf(algorithmId, 'the algorithm') !== OID.ecdsaWithSha256 || parameters.length > 0) {
      throw new Asn1Error('not signed with ECDSA and SHA-256');
    }
    membersOf(spki, 'the public key');
    const key = readPublicKey(encode(spki as Asn1));
    const { bytes, unused } = bitsOf(signature, 'the signature');
    if (unused !== 0 || !verify('sha256', encode(info as Asn1), key, bytes)) {
      throw new Asn1Error('its signature was not made by its own key');
    }
    return key;
  } catch (cause) {
    if (!(cause instanceof Asn1Error)) throw cause;
    throw new MeshError('CSR_INVALID', `the certificate signing request is refused: ${cause.message}`, { cause });
  }
}

function readPublicKey(spki: Buffer): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (cause) {
    throw new Asn1Error('its key cannot be read', { cause });
  }
  // Written back, because a compressed point or spelled-out curve parameters would be a second spelling of one key.
  if (!isP256(key) || !key.export({ format: 'der', type: 'spki' }).equals(spki)) {
    throw new Asn1Error('its key is not an uncompressed EC P-256 key on the named curve');
  }
  return key;
}
