// SPDX-License-Identifier: Apache-2.0
// The official OpenAI client against nexusd, as a user would write it. Prints TAP.
// NEXUSD_URL: the gateway; FAKE_URL: its backend, whose /_fake/ paths steer it.
import OpenAI, { toFile } from 'openai';

const { NEXUSD_URL, FAKE_URL } = process.env;
const MODEL = 'llama3:70b';
const MESSAGES = [{ role: 'user', content: 'hello' }];
const TOOLS = [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }];
const client = new OpenAI({ baseURL: `${NEXUSD_URL}/v1`, apiKey: 'unused', maxRetries: 0 });

let count = 0;
let failed = 0;

function ok(condition, name, detail) {
  count += 1;
  console.log(`${condition ? 'ok' : 'not ok'} ${count} - ${name}`);
  if (!condition) {
    failed += 1;
    console.log(`#   ${JSON.stringify(detail)?.slice(0, 500)}`);
  }
}

function is(got, want, name) {
  ok(JSON.stringify(got) === JSON.stringify(want), name, { got, want });
}

async function fake(path, method = 'GET') {
  const answer = await fetch(`${FAKE_URL}/_fake/${path}`, { method });
  return answer.json();
}

const openGate = () => fake('gate/step', 'POST');

// Waits, with a bound, until the backend's last request satisfies the condition.
async function lastRequest(condition) {
  const end = Date.now() + 10000;
  for (;;) {
    const entry = (await fake('log')).at(-1);
    if ((entry && condition(entry)) || Date.now() > end) return entry;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function failureOf(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return error;
  }
}

const chat = (fields = {}, options = {}) =>
  client.chat.completions.create({ model: MODEL, messages: MESSAGES, ...fields }, options);

async function testModels() {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  is(ids, ['demo', 'gpt-4', MODEL, 'meta-llama/Llama-3/8B'], 'models.list()');
  for (const id of ids) {
    const model = await client.models.retrieve(id);
    ok(model.id === id && model.object === 'model', `models.retrieve(${id})`, model);
  }
  const error = await failureOf(client.models.retrieve('no/such'));
  ok(error instanceof OpenAI.NotFoundError, 'models.retrieve() of an unknown model', error);
}

async function testChat() {
  const { data, response } = await chat().withResponse();
  is(data.choices[0].message.content, 'a: hello', 'chat.completions.create()');
  is(data.usage.total_tokens, 18, 'usage');
  ok(data._request_id && data._request_id === response.headers.get('x-request-id'),
    'the request id reaches the client', data._request_id);
  const alias = await chat({ model: 'gpt-4' });
  is(alias.choices[0].message.content, 'a: hello', 'an alias');
  const demo = await chat({ model: 'demo' });
  ok(demo.choices[0].message.content.includes('hello'), 'the demo model', demo);
  const legacy = await client.completions.create({ model: MODEL, prompt: 'once' });
  is(legacy.choices[0].text, 'a: once', 'completions.create()');
}

async function testStreamArrivesChunkByChunk() {
  const stream = await chat({ stream: true, x_fake: { a: { gate: 'step', chunks: 10 } } });
  const chunks = stream[Symbol.asyncIterator]();
  let text = (await chunks.next()).value.choices[0].delta.content;
  for (let i = 0; i < 10; i += 1) {
    await openGate(); // the backend sends the next chunk only now
    text += (await chunks.next()).value.choices[0].delta.content;
  }
  is(text, `[hello]${[...Array(10).keys()].map((i) => ` a${i}`).join('')}`,
    'ten chunks arrive one by one, each before the next is sent');
  for (let i = 0; i < 5; i += 1) await openGate();
  let last;
  for (let next = await chunks.next(); !next.done; next = await chunks.next()) last = next.value;
  is(last.choices[0].finish_reason, 'stop', 'and then the end');
}

async function testPacedStream() {
  const stream = await chat({ stream: true, x_fake: { a: { gap: 0.08, chunks: 10 } } });
  const times = [];
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content) times.push(performance.now());
  }
  is(times.length, 11, 'ten chunks 80 ms apart and the first');
  const spread = times.at(-1) - times[0];
  console.log(`# the chunks arrived over ${spread.toFixed(0)} ms`);
  ok(spread > 400, 'they were not held back and delivered together', spread);
}

async function testStreamHelpers() {
  const runner = client.chat.completions.stream({ model: MODEL, messages: MESSAGES });
  is(await runner.finalContent(), '[hello] a0 a1 a2', 'chat.completions.stream().finalContent()');
  const stream = await chat({ stream: true, stream_options: { include_usage: true } });
  let usage;
  for await (const chunk of stream) usage = chunk.usage ?? usage;
  is(usage?.completion_tokens, 3, 'include_usage');
  const plain = await chat({ stream: true });
  const empty = [];
  for await (const chunk of plain) if (!chunk.choices.length) empty.push(chunk);
  is(empty, [], 'no usage chunk unasked');
}

async function testTools() {
  const answer = await chat({ tools: TOOLS, tool_choice: 'auto' });
  const call = answer.choices[0].message.tool_calls[0];
  is([call.function.name, JSON.parse(call.function.arguments)], ['look_up', { q: 'é "x"' }],
    'tool calls');
  const runner = client.chat.completions.stream({ model: MODEL, messages: MESSAGES, tools: TOOLS });
  const final = await runner.finalChatCompletion();
  is(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments), { q: 'é "x"' },
    'tool calls in a stream');
}

async function testEmbeddings() {
  const close = (got) => Math.abs(got[0] - 0.25) < 1e-6 && Math.abs(got[1] + 0.0015) < 1e-6;
  for (const encoding_format of [undefined, 'float', 'base64']) {
    const answer = await client.embeddings.create(
      { model: MODEL, input: ['one', 'two'], encoding_format });
    const first = answer.data[0].embedding;
    ok(answer.data.length === 2 && (typeof first === 'string' || close(first)),
      `embeddings.create(), encoding_format ${encoding_format}`, first);
  }
  const tokens = await client.embeddings.create({ model: MODEL, input: [1, 2, 3] });
  is(tokens.data.length, 1, 'embeddings of tokens');
}

async function testResponses() {
  const answer = await client.responses.create({ model: MODEL, input: 'hello' });
  is([answer.output_text, answer.usage.output_tokens], ['a: hello', 7], 'responses.create()');
  const types = [];
  let text = '';
  let usage;
  for await (const event of await client.responses.create(
    { model: MODEL, input: 'hello', stream: true })) {
    types.push(event.type);
    if (event.type === 'response.output_text.delta') text += event.delta;
    usage = event.response?.usage ?? usage;
  }
  is([text, types[0], types.at(-1), usage?.output_tokens],
    [' a0 a1 a2', 'response.created', 'response.completed', 3], 'responses.create(), streamed');
  const error = await failureOf((async () => {
    const stream = await client.responses.create(
      { model: MODEL, input: 'x', stream: true, x_fake: { a: { after: 3 } } });
    for await (const event of stream) ok(event.type !== 'error', 'a whole event before the cut');
  })());
  ok(error instanceof OpenAI.APIError && error.code === 'upstream_truncated',
    'a response that breaks throws', error);
}

async function testFiles() {
  const speech = await client.audio.speech.create({ model: MODEL, input: 'x', voice: 'alloy' });
  const sound = Buffer.from(await speech.arrayBuffer());
  is([sound.length, sound[255]], [10240, 255], 'audio.speech.create()');
  const made = await client.images.generate({ model: 'gpt-4', prompt: 'x' });
  is(made.usage.output_tokens, 1000, 'images.generate(), an alias');
  if (!globalThis.File) {
    ok(true, `files # SKIP the client needs Node 20 for them, this is ${process.version}`);
    return;
  }
  for (const n of [1, 600]) { // held, and handed on while it comes
    const file = await toFile(Buffer.concat(Array(n).fill(sound)), 'speech.mp3');
    const heard = await client.audio.transcriptions.create({ model: MODEL, file });
    is(heard.text, 'what was said', `audio.transcriptions.create(), ${n * sound.length} bytes`);
    const entry = await lastRequest((e) => e.outcome);
    ok(entry.target === '/v1/audio/transcriptions', 'on its own path', entry.target);
  }
  const image = await toFile(sound, 'image.png', { type: 'image/png' });
  const images = await client.images.edit({ model: MODEL, image, prompt: 'x' });
  ok(images.data[0].b64_json.length > 0, 'images.edit()', images);
}

async function testAbort() {
  const controller = new AbortController();
  const waiting = failureOf(chat({ user: 'abort-1', x_fake: { a: { fault: 'never' } } },
    { signal: controller.signal }));
  await lastRequest((entry) => entry.body.includes('abort-1'));
  controller.abort();
  ok((await waiting) instanceof OpenAI.APIUserAbortError, 'abort before the head');
  let seen = await lastRequest((entry) => entry.outcome);
  is(seen.outcome, 'peer_closed', 'the backend is told');

  const stream = await chat({ stream: true, user: 'abort-2', x_fake: { a: { gate: 'held' } } });
  for await (const chunk of stream) {
    ok(chunk.choices.length > 0, 'a first chunk');
    break; // leaving the loop aborts the request
  }
  seen = await lastRequest((entry) => entry.body.includes('abort-2') && entry.outcome);
  is(seen.outcome, 'peer_closed', 'abort in mid-stream: the backend is told');
}

async function backendFails(status, kind) {
  const error = await failureOf(chat({ x_fake: { a: { status, retry_after: 1 } } }));
  ok(error instanceof kind && error.status === status && error.code === `fake_${status}`,
    `the backend's ${status} is ${kind.name}`, error);
  is(error?.headers?.get('retry-after'), '1', `${status}: Retry-After`);
}

async function testErrors() {
  const classes = {
    400: OpenAI.BadRequestError, 401: OpenAI.AuthenticationError,
    403: OpenAI.PermissionDeniedError, 404: OpenAI.NotFoundError, 409: OpenAI.ConflictError,
    422: OpenAI.UnprocessableEntityError, 500: OpenAI.InternalServerError,
    503: OpenAI.InternalServerError,
  };
  for (const [status, kind] of Object.entries(classes)) await backendFails(Number(status), kind);
  let error = await failureOf(chat({ model: 'no-such-model' }));
  ok(error instanceof OpenAI.NotFoundError && error.code === 'model_not_found' &&
    error.param === 'model' && error.type === 'invalid_request_error', 'an unknown model', error);
  error = await failureOf(chat({ model: 5 }));
  ok(error instanceof OpenAI.BadRequestError && error.code === 'invalid_field' &&
    error.param === 'model', 'a field of the wrong type', error);
  error = await failureOf(chat({ x_fake: { a: { fault: 'rst' } } }));
  ok(error instanceof OpenAI.InternalServerError && error.status === 502 &&
    error.code === 'bad_gateway', 'a dead backend', error);
  error = await failureOf((async () => {
    const stream = await chat({ stream: true, x_fake: { a: { after: 2 } } });
    for await (const chunk of stream) ok(!chunk.error, 'a whole chunk before the cut');
  })());
  ok(error instanceof OpenAI.APIError && error.code === 'upstream_truncated',
    'a stream that breaks throws', error);
  await backendFails(429, OpenAI.RateLimitError);
  const end = Date.now() + 10000;
  while (Date.now() < end && (error = await failureOf(chat()))) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  is(error, null, 'the backend is asked again when its Retry-After is over');
}

const TESTS = [testModels, testChat, testStreamArrivesChunkByChunk, testPacedStream,
  testStreamHelpers, testTools, testEmbeddings, testResponses, testFiles, testAbort, testErrors];

console.log(`# node ${process.version}`);
for (const test of TESTS) {
  try {
    await test();
  } catch (error) {
    ok(false, `${test.name} ran to its end`, String(error?.stack ?? error));
  }
}
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
