const BYTES = 100;

/** What is posted, and what comes back: JSON of 100 bytes each. */
export const REQUEST = jsonOf('request');
export const ANSWER = jsonOf('answer');

export const END_OF_EVENTS = 'data: end\n\n';

function jsonOf(what: string): string {
  const empty = JSON.stringify({ what, filler: '' });
  return JSON.stringify({ what, filler: 'x'.repeat(BYTES - empty.length) });
}
