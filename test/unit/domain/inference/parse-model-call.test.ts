import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseStrictJson } from '../../../../src/domain/canonical/strict-json.ts';
import { MODEL_CALL_ERROR_CODES, ModelCallError } from '../../../../src/domain/inference/model-call-error.ts';
import type { ModelEndpoint } from '../../../../src/domain/inference/model-call.ts';
import { parseModelCall } from '../../../../src/domain/inference/parse-model-call.ts';

const SECRET = 'the secret prompt';
const system = { role: 'system', content: SECRET };
const user = { role: 'user', content: 'hello' };
const tool = (name: string, more: object = {}) => ({
  type: 'function',
  function: { name, description: 'does it', parameters: { type: 'object', properties: {} }, ...more },
});
const flatTool = (name: string, more: object = {}) => ({
  type: 'function',
  name,
  description: 'does it',
  parameters: { type: 'object', properties: {} },
  ...more,
});

const parse = (endpoint: ModelEndpoint, body: unknown) =>
  parseModelCall(endpoint, parseStrictJson(JSON.stringify(body)));
const chat = (more: object = {}) => parse('chat_completions', { model: 'm', messages: [system, user], ...more });
const responses = (more: object = {}) =>
  parse('responses', { model: 'm', instructions: SECRET, input: 'hello', ...more });
/** As plain objects, to be compared. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

/** `code param` of the refusal. */
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof ModelCallError, String(error));
    assert.equal(error.status, 400);
    assert.ok(MODEL_CALL_ERROR_CODES.includes(error.code));
    assert.ok(!error.message.includes('secret'), error.message);
    return `${error.code} ${error.param}`;
  }
  return 'accepted';
}

describe('chat completions', () => {
  test('every allowed field is forwarded as it was', () => {
    const body = {
      model: 'gpt-large',
      messages: [
        system,
        {
          role: 'developer',
          content: [
            { type: 'text', text: 'one' },
            { type: 'text', text: 'two' },
          ],
        },
        {
          role: 'user',
          name: 'ada',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image_url', image_url: { url: 'https://x.example/a.png', detail: 'low' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } },
            { type: 'file', file: { file_data: 'data:application/pdf;base64,AA', filename: 'a.pdf' } },
          ],
        },
        {
          role: 'assistant',
          content: 'calling',
          tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'search', arguments: '{"q":1}' } }],
        },
        { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: 'found' }] },
        {
          role: 'assistant',
          content: [
            { type: 'text', text: 'yes' },
            { type: 'refusal', refusal: 'no' },
          ],
        },
      ],
      stream: true,
      stream_options: { include_usage: true, include_obfuscation: false },
      temperature: 0.2,
      top_p: 1,
      max_tokens: 10,
      max_completion_tokens: 10,
      n: 2,
      stop: ['a', 'b'],
      presence_penalty: -1,
      frequency_penalty: 1,
      logit_bias: { 50256: -100 },
      logprobs: true,
      top_logprobs: 3,
      response_format: { type: 'json_schema', json_schema: { name: 'out', schema: { type: 'object' }, strict: true } },
      seed: 7,
      tools: [tool('search', { strict: true })],
      tool_choice: { type: 'function', function: { name: 'search' } },
      parallel_tool_calls: false,
      user: 'u',
      metadata: { a: 'b' },
      reasoning_effort: 'low',
      verbosity: 'low',
      service_tier: 'auto',
      safety_identifier: 's',
      prompt_cache_key: 'k',
      modalities: ['text'],
      store: false,
    };
    const call = parse('chat_completions', body);
    assert.deepEqual(plain(call.body), body);
    assert.deepEqual([call.model, call.stream, call.endpoint], ['gpt-large', true, 'chat_completions']);
    assert.deepEqual(call.instructions, [
      { text: SECRET, at: 'messages[0].content' },
      { text: 'one', at: 'messages[1].content[0].text' },
      { text: 'two', at: 'messages[1].content[1].text' },
    ]);
    assert.deepEqual(plain(call.tools), [{ name: 'search', definition: body.tools[0], at: 'tools[0]' }]);
  });

  test('instructions after the conversation has begun are instructions', () => {
    const late = chat({
      messages: [system, user, { role: 'assistant', content: 'hi' }, { role: 'system', content: 'late' }],
    });
    assert.deepEqual(
      late.instructions.map(({ at }) => at),
      ['messages[0].content', 'messages[3].content'],
    );
  });

  test('the model gets the canonical text that is compared', () => {
    const call = chat({ messages: [{ role: 'system', content: '\ufeffa\r\nb\rc' }, user] });
    assert.equal(call.instructions[0]?.text, 'a\nb\nc');
    assert.deepEqual(plain(call.body['messages']), [{ role: 'system', content: 'a\nb\nc' }, user]);
    const kept = '\ufeffe\u0301\u200b\u{e0041} x \n';
    assert.equal(chat({ messages: [{ role: 'system', content: `\ufeff${kept}` }] }).instructions[0]?.text, kept);
    assert.deepEqual(plain(chat({ messages: [{ role: 'user', content: '\ufeffa\r\n' }] }).body['messages']), [
      { role: 'user', content: '\ufeffa\r\n' },
    ]);
  });

  test('null is absence, and what answers repeat of themselves is dropped', () => {
    const answer = {
      role: 'assistant',
      content: 'x',
      refusal: null,
      annotations: [],
      audio: null,
      function_call: null,
    };
    const call = chat({ messages: [answer], temperature: null, functions: null, tools: null, tool_choice: null });
    assert.deepEqual(plain(call.body), { model: 'm', messages: [{ role: 'assistant', content: 'x' }] });
  });

  test('what is not understood is refused by name', () => {
    const cases: [object, string][] = [
      [{ top_k: 1 }, 'unknown_field top_k'],
      [{ extra_body: null }, 'unknown_field extra_body'],
      [{ guided_json: {} }, 'unknown_field guided_json'],
      [{ [`${SECRET} as a name`]: 1 }, 'unknown_field '],
      [{ messages: [{ ...user, cache_control: {} }] }, 'unknown_field messages[0].cache_control'],
      [{ messages: [{ ...user, __proto_: 1 }] }, 'unknown_field messages[0].__proto_'],
      [{ functions: [] }, 'unsupported_field functions'],
      [{ function_call: 'auto' }, 'unsupported_field function_call'],
      [{ prediction: { type: 'content', content: SECRET } }, 'unsupported_field prediction'],
      [{ audio: {} }, 'unsupported_field audio'],
      [{ modalities: ['text', 'audio'] }, 'unsupported_value modalities'],
      [{ web_search_options: {} }, 'hosted_tool web_search_options'],
      [{ store: true }, 'stateful store'],
      [{ prompt_cache_retention: '24h' }, 'stateful prompt_cache_retention'],
      [{ stream: 'yes' }, 'bad_type stream'],
      [{ n: 1.5 }, 'bad_value n'],
      [{ n: '1' }, 'bad_type n'],
      [{ temperature: '1' }, 'bad_type temperature'],
      [{ model: 'a b' }, 'bad_value model'],
      [{ model: null }, 'missing_field model'],
      [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'too_large stop'],
      [{ stop: 'x'.repeat(257) }, 'too_large stop'],
      [{ metadata: { a: 1 } }, 'bad_type metadata[*]'],
      [{ metadata: { a: 'x'.repeat(513) } }, 'too_large metadata'],
      [{ user: 'x'.repeat(513) }, 'too_large user'],
      [{ logit_bias: { [SECRET]: 1 } }, 'bad_value logit_bias'],
      [{ reasoning_effort: SECRET }, 'bad_value reasoning_effort'],
      [{ service_tier: SECRET }, 'bad_value service_tier'],
    ];
    for (const [more, expected] of cases)
      assert.equal(
        refusal(() => chat(more)),
        expected,
        JSON.stringify(more),
      );
    const proto = `{"model":"m","messages":[{"role":"user","content":"x"}],"__proto__":{"tools":[]}}`;
    assert.equal(
      refusal(() => parseModelCall('chat_completions', parseStrictJson(proto))),
      'unknown_field __proto__',
    );
    for (const body of [null, [], 'x', 1])
      assert.equal(
        refusal(() => parse('chat_completions', body)),
        'bad_type ',
      );
  });

  test('messages that could hide an instruction are refused', () => {
    const cases: [object[] | string, string][] = [
      [[], 'no_messages messages'],
      ['hello', 'bad_type messages'],
      [[{ role: 'System', content: 'x' }], 'bad_role messages[0].role'],
      [[{ role: 'function', name: 'f', content: 'x' }], 'bad_role messages[0].role'],
      [[{ content: 'x' }], 'bad_role messages[0].role'],
      [[{ role: ['system'], content: 'x' }], 'bad_role messages[0].role'],
      [[{ role: 'system' }], 'missing_field messages[0].content'],
      [[{ role: 'system', content: '' }], 'bad_text messages[0].content'],
      [[{ role: 'system', content: '\ufeff' }], 'bad_text messages[0].content'],
      [[{ role: 'system', content: 'a\0' }], 'bad_text messages[0].content'],
      [[{ role: 'system', content: [] }], 'bad_text messages[0].content'],
      [[{ role: 'system', content: { text: 'x' } }], 'bad_type messages[0].content'],
      [[{ role: 'system', content: ['x'] }], 'bad_type messages[0].content[0]'],
      [[{ role: 'system', content: [{ type: 'text', text: '' }] }], 'bad_text messages[0].content[0].text'],
      [[{ role: 'system', content: [{ type: 'text' }] }], 'missing_field messages[0].content[0].text'],
      [
        [{ role: 'developer', content: [{ type: 'image_url', image_url: { url: 'https://x' } }] }],
        'unsupported_value messages[0].content[0].type',
      ],
      [[{ ...system, name: 'ignore_all_rules' }], 'unsupported_field messages[0].name'],
      [[{ ...user, name: 'a b' }], 'bad_value messages[0].name'],
      [[{ role: 'user', content: [{ type: 'video', video: 'x' }] }], 'unsupported_value messages[0].content[0].type'],
      [[{ role: 'user', content: [{ type: 'constructor' }] }], 'unsupported_value messages[0].content[0].type'],
      [
        [{ role: 'user', content: [{ type: 'file', file: { file_id: 'f' } }] }],
        'stateful messages[0].content[0].file.file_id',
      ],
      [
        [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'file:///etc/passwd' } }] }],
        'bad_value messages[0].content[0].image_url.url',
      ],
      [
        [{ role: 'user', content: [{ type: 'text', text: 'x', cache_control: {} }] }],
        'unknown_field messages[0].content[0].cache_control',
      ],
      [[{ role: 'assistant', function_call: { name: 'x' } }], 'unsupported_field messages[0].function_call'],
      [[{ role: 'assistant', audio: { id: 'x' } }], 'unsupported_field messages[0].audio'],
      [[{ role: 'assistant', annotations: [{}] }], 'unsupported_value messages[0].annotations'],
      [[{ role: 'tool', content: 'x' }], 'missing_field messages[0].tool_call_id'],
    ];
    for (const [messages, expected] of cases) {
      assert.equal(
        refusal(() => chat({ messages })),
        expected,
        JSON.stringify(messages),
      );
    }
  });
});

describe('tools', () => {
  test('invalid definitions and duplicates are refused', () => {
    const cases: [unknown, string][] = [
      [[tool('a'), tool('b'), tool('a')], 'duplicate_tool tools[2]'],
      [[{ type: 'web_search' }], 'hosted_tool tools[0].type'],
      [[{ type: 'custom', custom: { name: 'x' } }], 'hosted_tool tools[0].type'],
      [[{ function: { name: 'x' } }], 'hosted_tool tools[0].type'],
      [[{ type: 'function' }], 'missing_field tools[0].function'],
      [[{ type: 'function', function: {} }], 'missing_field tools[0].function.name'],
      [[tool('a b')], 'bad_tool tools[0].function.name'],
      [[tool('')], 'bad_tool tools[0].function.name'],
      [[tool('x'.repeat(65))], 'bad_tool tools[0].function.name'],
      [[tool('а')], 'bad_tool tools[0].function.name'],
      [[tool('x', { description: 1 })], 'bad_type tools[0].function.description'],
      [[tool('x', { description: 'x'.repeat(65_537) })], 'too_large tools[0].function.description'],
      [[tool('x', { parameters: [] })], 'bad_type tools[0].function.parameters'],
      [[tool('x', { parameters: {} })], 'bad_tool tools[0].function.parameters.type'],
      [[tool('x', { parameters: { type: 'string' } })], 'bad_tool tools[0].function.parameters.type'],
      [
        [tool('x', { parameters: { type: 'object', properties: [] } })],
        'bad_type tools[0].function.parameters.properties',
      ],
      [
        [tool('x', { parameters: { type: 'object', required: [1] } })],
        'bad_type tools[0].function.parameters.required[0]',
      ],
      [[tool('x', { strict: 'yes' })], 'bad_type tools[0].function.strict'],
      [[tool('x', { defer_loading: true })], 'unknown_field tools[0].function.defer_loading'],
      [[{ ...tool('x'), instructions: SECRET }], 'unknown_field tools[0].instructions'],
      [{}, 'bad_type tools'],
      [Array.from({ length: 513 }, (_, index) => tool(`t${index}`)), 'too_large tools'],
    ];
    for (const [tools, expected] of cases)
      assert.equal(
        refusal(() => chat({ tools })),
        expected,
        JSON.stringify(tools).slice(0, 200),
      );
  });

  test('a choice names offered tools only', () => {
    const tools = [tool('a'), tool('b')];
    const some = { mode: 'auto', tools: [{ type: 'function', function: { name: 'a' } }] };
    for (const choice of [
      'none',
      'auto',
      'required',
      { type: 'function', function: { name: 'b' } },
      { type: 'allowed_tools', allowed_tools: some },
    ]) {
      assert.deepEqual(plain(chat({ tools, tool_choice: choice }).body['tool_choice']), choice);
    }
    const cases: [unknown, string][] = [
      [SECRET, 'bad_value tool_choice'],
      [{ type: 'function', function: { name: 'c' } }, 'bad_value tool_choice.function.name'],
      [
        { type: 'function', function: { name: 'a', description: SECRET } },
        'unknown_field tool_choice.function.description',
      ],
      [{ type: 'function' }, 'missing_field tool_choice.function'],
      [{ type: 'file_search' }, 'hosted_tool tool_choice.type'],
      [
        {
          type: 'allowed_tools',
          allowed_tools: { ...some, tools: [...some.tools, { type: 'function', function: { name: 'c' } }] },
        },
        'bad_value tool_choice.allowed_tools.tools[1].function.name',
      ],
    ];
    for (const [choice, expected] of cases) {
      assert.equal(
        refusal(() => chat({ tool_choice: choice, tools })),
        expected,
        JSON.stringify(choice),
      );
    }
    assert.equal(
      refusal(() => responses({ tools: [flatTool('a')], tool_choice: { type: 'mcp', server_label: 'x' } })),
      'hosted_tool tool_choice.type',
    );
    assert.deepEqual(
      plain(responses({ tools: [flatTool('a')], tool_choice: { type: 'function', name: 'a' } }).body['tool_choice']),
      { type: 'function', name: 'a' },
    );
  });

  test('output schemas are bounded', () => {
    const format = (more: object) => ({
      response_format: { type: 'json_schema', json_schema: { name: 'x', ...more } },
    });
    assert.equal(
      refusal(() => chat(format({ description: 'x'.repeat(1025) }))),
      'too_large response_format.json_schema.description',
    );
    assert.equal(
      refusal(() => chat(format({ schema: { description: 'x'.repeat(32_768) } }))),
      'too_large response_format.json_schema.schema',
    );
    assert.equal(
      refusal(() => chat({ response_format: { type: 'grammar' } })),
      'bad_value response_format.type',
    );
    assert.equal(
      refusal(() => chat({ response_format: { type: 'text', text: SECRET } })),
      'unknown_field response_format.text',
    );
    assert.equal(
      refusal(() => responses({ text: { format: { type: 'json_schema', name: 'x' } } })),
      'missing_field text.format.schema',
    );
  });
});

describe('responses', () => {
  test('every allowed field is forwarded, and the service keeps nothing', () => {
    const body = {
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'a' },
            { type: 'input_image', image_url: 'data:image/png;base64,A', detail: 'auto' },
            { type: 'input_file', file_data: 'x', filename: 'y' },
          ],
        },
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 's' }], encrypted_content: 'AAAA' },
        { type: 'function_call', id: 'fc_1', call_id: 'call_1', name: 'search', arguments: '{}', status: 'completed' },
        { type: 'function_call_output', call_id: 'call_1', output: 'found' },
        {
          type: 'message',
          id: 'msg_1',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'b', annotations: [] }],
        },
      ],
      model: 'm',
      instructions: SECRET,
      stream: false,
      max_output_tokens: 5,
      include: ['reasoning.encrypted_content'],
      reasoning: { effort: 'low', summary: 'auto' },
      text: { format: { type: 'json_schema', name: 'x', schema: { type: 'object' }, strict: true }, verbosity: 'low' },
      truncation: 'disabled',
      tools: [flatTool('search', { strict: true })],
      tool_choice: 'auto',
      parallel_tool_calls: true,
      temperature: 1,
      user: 'u',
    };
    const call = parse('responses', body);
    assert.deepEqual(plain(call.body), { ...body, store: false });
    assert.deepEqual(plain(responses({ store: false, background: false }).body), {
      model: 'm',
      instructions: SECRET,
      input: 'hello',
      store: false,
      background: false,
    });
  });

  test('a tool is noted in the shape of chat completions', () => {
    const [offered] = responses({ tools: [flatTool('search', { strict: null })] }).tools;
    assert.deepEqual(plain(offered), { name: 'search', definition: tool('search'), at: 'tools[0]' });
  });

  test('instructions come first, wherever they stand; then system and developer items in their order', () => {
    const input = [
      { role: 'user', content: 'hi' },
      { role: 'developer', content: [{ type: 'input_text', text: 'two' }] },
      { type: 'message', role: 'system', content: 'three' },
    ];
    const call = parse('responses', { model: 'm', input, instructions: '\ufeffone\r\n' });
    assert.deepEqual(call.instructions, [
      { text: 'one\n', at: 'instructions' },
      { text: 'two', at: 'input[1].content[0].text' },
      { text: 'three', at: 'input[2].content' },
    ]);
    assert.equal(call.body['instructions'], 'one\n');
  });

  test('what the service would have to remember or to run is refused', () => {
    const message = (content: unknown) => [{ role: 'user', content }];
    const cases: [object, string][] = [
      [{ store: true }, 'stateful store'],
      [{ background: true }, 'stateful background'],
      [{ previous_response_id: 'resp_1' }, 'stateful previous_response_id'],
      [{ conversation: 'conv_1' }, 'stateful conversation'],
      [{ prompt: { id: 'pmpt_1' } }, 'stateful prompt'],
      [{ context_management: [] }, 'stateful context_management'],
      [{ truncation: 'auto' }, 'bad_value truncation'],
      [{ max_tool_calls: 1 }, 'hosted_tool max_tool_calls'],
      [{ include: ['file_search_call.results'] }, 'bad_value include[0]'],
      [{ input: [{ type: 'item_reference', id: 'x' }] }, 'stateful input[0].type'],
      [{ input: [{ type: 'mcp_call', id: 'x' }] }, 'unsupported_value input[0].type'],
      [{ input: [{ type: 'constructor' }] }, 'unsupported_value input[0].type'],
      [{ input: [{ role: 'tool', content: 'x' }] }, 'bad_role input[0].role'],
      [{ input: [] }, 'no_messages input'],
      [{ input: '' }, 'no_messages input'],
      [{ instructions: [SECRET] }, 'bad_type instructions'],
      [{ instructions: '' }, 'bad_text instructions'],
      [{ input: message([{ type: 'input_image', file_id: 'f' }]) }, 'stateful input[0].content[0].file_id'],
      [{ input: message([{ type: 'text', text: 'x' }]) }, 'unsupported_value input[0].content[0].type'],
      [{ messages: [] }, 'unknown_field messages'],
      ...[
        'web_search',
        'web_search_preview',
        'file_search',
        'code_interpreter',
        'mcp',
        'computer_use_preview',
        'image_generation',
        'local_shell',
        'custom',
      ].map((type): [object, string] => [{ tools: [{ type, server_url: 'https://x' }] }, 'hosted_tool tools[0].type']),
    ];
    for (const [more, expected] of cases)
      assert.equal(
        refusal(() => responses(more)),
        expected,
        JSON.stringify(more),
      );
  });
});
