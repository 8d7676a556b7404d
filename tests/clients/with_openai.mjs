// openai-node: chat completions and Responses, whole and streamed, a follow-up, and an error.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: `${process.env.PRECEPTOR_URL}/v1`, apiKey: 'any', maxRetries: 0 });
const model = 'preceptor';
const messages = [{ role: 'user', content: 'What is ROS 2?' }];
const link = `${process.env.PRECEPTOR_URL}/docs/ros2/#what-is-ros-2`;

const whole = await client.chat.completions.create({ model, messages });
const { content, annotations } = whole.choices[0].message;
assert.ok(content.includes(`[[1]](${link})`));
assert.equal(annotations[0].url_citation.url, link);

let text = '';
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? '';
}
assert.equal(text, content);

const first = await client.responses.create({ model, input: 'What is ROS 2?' });
assert.equal(first.output_text, content);
assert.equal(first.output[0].content[0].annotations[0].url, link);
const next = await client.responses.create({ model, input: 'And a node?', previous_response_id: first.id });
assert.ok(next.output_text);

const stream = client.responses.stream({ model, input: 'What is ROS 2?' });
let streamed = '';
stream.on('response.output_text.delta', (event) => (streamed += event.delta));
const final = await stream.finalResponse();
assert.equal(final.output_text, content);
assert.equal(streamed, content);

await assert.rejects(client.chat.completions.create({ model, messages, n: 2 }), { status: 400, param: 'n' });
const names = (await client.models.list()).data.map((each) => each.id);
assert.ok(names.includes(model));
