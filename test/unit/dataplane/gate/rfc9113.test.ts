import { test } from 'node:test';
import { FRAME_RULES } from './rfc9113/frame-rules.ts';
import { MESSAGE_RULES } from './rfc9113/message-rules.ts';
import { STREAM_RULES } from './rfc9113/stream-rules.ts';
import { follow, type Rule } from './rfc9113/rule.ts';

const TABLE: readonly Rule[] = [...FRAME_RULES, ...STREAM_RULES, ...MESSAGE_RULES];

for (const rule of TABLE) test(`RFC 9113, section ${rule.section}: ${rule.what}`, () => follow(rule));
