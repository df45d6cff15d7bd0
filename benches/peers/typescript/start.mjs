// Starts Workflows as a script with the TypeScript SDK does: a client with its default settings,
// and as many loops as starts may be in flight.

import { Client, Connection } from "@temporalio/client";

const [address, parallelism, starts] = process.argv.slice(2);
const connection = await Connection.connect({ address });
const client = new Client({ connection });
let next = 0;

async function loop() {
  while (next < Number(starts)) {
    const number = next++;
    await client.workflow.start("Bench", {
      args: [{ customer: `customer-${number}`, cents: number }],
      taskQueue: "bench",
      workflowId: `typescript-${number}`,
    });
  }
}

await Promise.all(Array.from({ length: Number(parallelism) }, loop));
await connection.close();
