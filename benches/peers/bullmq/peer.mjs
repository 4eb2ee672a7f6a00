// BullMQ on Node at the same work: adds jobs as ours are added, completes them with a worker that does nothing.
// node peer.mjs PORT JOBS CONCURRENCY; one line of JSON on standard output.
import { createRequire } from "node:module";
const require = createRequire(process.cwd() + "/");
const { Queue, Worker } = require("bullmq");
const [port, jobs, concurrency] = process.argv.slice(2).map(Number);
const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
const data = (n) => ({
  requestId: String(n), notificationId: "0123456789abcdef0123456789abcdef", jobId: String(n), type: "login", channel: "in-app",
  recipient: { userId: "17" }, priority: "normal", attempt: 1, part: `${n}-1-2-1`, time: "2026-01-31T12:00:00.000Z",
});
const queue = new Queue("peer", { connection });
await queue.waitUntilReady();
const added = process.hrtime.bigint();
const addedCpu = process.cpuUsage();
for (let n = 0; n < jobs; n += 500) {
  const batch = [];
  for (let i = n; i < Math.min(n + 500, jobs); i++) batch.push({ name: "login", data: data(i), opts: { jobId: `${i}-1`, priority: 2 } });
  await queue.addBulk(batch);
}
const addS = Number(process.hrtime.bigint() - added) / 1e9;
const addCpu = process.cpuUsage(addedCpu);
let done = 0;
let finished;
const over = new Promise((resolve) => { finished = resolve; });
const worker = new Worker("peer", async () => "delivered", { connection, concurrency, autorun: false });
worker.on("completed", () => { if (++done === jobs) finished(); });
worker.on("error", (error) => { console.error(error); process.exit(1); });
await worker.waitUntilReady();
const begun = process.hrtime.bigint();
const begunCpu = process.cpuUsage();
worker.run();
await over;
const doneS = Number(process.hrtime.bigint() - begun) / 1e9;
const doneCpu = process.cpuUsage(begunCpu);
const micros = (cpu) => (cpu.user + cpu.system) / jobs;
console.log(JSON.stringify({ added_per_s: jobs / addS, completed_per_s: jobs / doneS, add_cpu_us: micros(addCpu), complete_cpu_us: micros(doneCpu) }));
await worker.close();
await queue.close();
