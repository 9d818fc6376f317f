import { formatCallPattern, MAX_CALL_PATTERNS, readCallPattern } from '../../domain/calls/call-pattern.ts';
import type { CallPattern } from '../../domain/calls/call-pattern.ts';
import type { PolicyFields } from './policy-fields.ts';

const LINE = /^[^\p{C}\p{Zl}\p{Zp}]{1,1024}$/u;

/**
 * Reads `calls` of a grant: `POST /search.v1.Search/*`, or a path alone. `undefined` where the file has no such list, or
 * where it cannot be read and the fields have the problem: whoever builds a grant from it asks {@link PolicyFields.ok}.
 */
export function readCallFields(fields: PolicyFields): readonly CallPattern[] | undefined {
  if (!fields.has(['calls'])) return undefined;
  const listed = fields.at(['calls']);
  if (!Array.isArray(listed)) return fields.problem(['calls'], 'is not a list');
  if (listed.length === 0) {
    return fields.problem(['calls'], 'is an empty list, and so permits nothing; leave it out to permit every call');
  }
  if (listed.length > MAX_CALL_PATTERNS) return fields.problem(['calls'], `has more than ${MAX_CALL_PATTERNS} members`);
  const known = new Set<string>();
  return listed.flatMap((_, index) => {
    const path = ['calls', index] as const;
    const text = fields.text(path, LINE, 'a path, or methods, one space and a path');
    if (text === undefined) return [];
    const reading = readCallPattern(text);
    if (!reading.ok) fields.problem(path, reading.problem);
    else if (known.has(formatCallPattern(reading.pattern))) fields.problem(path, 'stands in the list twice');
    else {
      known.add(formatCallPattern(reading.pattern));
      return [reading.pattern];
    }
    return [];
  });
}
