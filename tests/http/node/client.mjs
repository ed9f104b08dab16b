// The JavaScript SDK as anyone uses it, with nothing changed but the base URL. Prints what it got as one JSON object.
// Usage: node client.mjs BASE_URL NAMESPACE

import OpenAI from "openai";

const [baseURL, namespace] = process.argv.slice(2);
const client = new OpenAI({
  baseURL,
  apiKey: "sk-test",
  maxRetries: 0,
  defaultHeaders: { "X-Encore-Namespace": namespace },
});

const messages = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "How do I activate my card?" },
];
const ask = { model: "gpt-4o", messages };
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
    },
  },
];

async function listed(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

const statuses = [];
async function noted(call) {
  const { data, response } = await call.withResponse();
  statuses.push(response.headers.get("cache-status"));
  return data;
}

const results = {
  create: await noted(client.chat.completions.create(ask)),
  seeded: await noted(client.chat.completions.create({ ...ask, seed: 1, n: 2 })),
  stream: await listed(await noted(client.chat.completions.create({ ...ask, seed: 2, stream: true }))),
  streamWithUsage: await listed(
    await noted(
      client.chat.completions.create({ ...ask, seed: 3, stream: true, stream_options: { include_usage: true } }),
    ),
  ),
  streamHelper: await client.chat.completions.stream({ ...ask, seed: 4 }).finalChatCompletion(),
  tools: await noted(client.chat.completions.create({ ...ask, tools })),
  response: await noted(client.responses.create({ model: "gpt-4o", input: "How are cards sent?" })),
  responseStream: await listed(
    await noted(client.responses.create({ model: "gpt-4o", input: "How do I close my account?", stream: true })),
  ),
  embeddings: await noted(client.embeddings.create({ model: "text-embedding-3-small", input: "one", dimensions: 4 })),
  models: (await listed(await client.models.list())).map((model) => model.id),
};
console.log(JSON.stringify({ results, statuses }));
