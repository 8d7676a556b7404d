// Vercel `ai` with @ai-sdk/openai: Responses (its default) and chat completions, whole and streamed, and a follow-up.
import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { generateText, streamText } from 'ai';

const openai = createOpenAI({ baseURL: `${process.env.PRECEPTOR_URL}/v1`, apiKey: 'any' });
const link = `${process.env.PRECEPTOR_URL}/docs/ros2/#what-is-ros-2`;
const asked = { role: 'user', content: 'What is ROS 2?' };

for (const model of [openai('preceptor'), openai.chat('preceptor')]) {
  const whole = await generateText({ model, messages: [asked], maxRetries: 0 });
  assert.ok(whole.text.includes(`[[1]](${link})`), whole.text);
  assert.equal(whole.sources[0].url, link);
  assert.equal(whole.finishReason, 'stop');

  const stream = streamText({ model, messages: [asked], maxRetries: 0 });
  let text = '';
  for await (const piece of stream.textStream) text += piece;
  assert.equal(text, whole.text);
  assert.equal((await stream.sources)[0].url, link);

  // Answers come back as references where the service remembers, and as text where it does not.
  for (const options of [{}, { providerOptions: { openai: { store: false } } }]) {
    const messages = [asked, ...whole.response.messages, { role: 'user', content: 'And what is a node?' }];
    const next = await generateText({ model, messages, maxRetries: 0, ...options });
    assert.ok(next.text);
  }
}
