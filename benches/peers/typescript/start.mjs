// Starts Workflows as a script with the TypeScript SDK does: a client, so many at a time, a loop.

import { Client, Connection } from '@temporalio/client';

const [address, parallelism, starts] = process.argv.slice(2);
const connection = await Connection.connect({ address });
const client = new Client({ connection });
let next = 0;

async function slot() {
  while (next < Number(starts)) {
    const number = next++;
    await client.workflow.start('Bench', {
      taskQueue: 'bench',
      workflowId: `typescript-${number}`,
      args: [{ customer: `customer-${number}`, cents: number }],
    });
  }
}

await Promise.all(Array.from({ length: Number(parallelism) }, slot));
await connection.close();
