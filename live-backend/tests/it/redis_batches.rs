//! Many jobs at once on a real Redis, beside what BullMQ's own worker does with the same jobs.
//!
//! Belongs here: order, ends, pauses and lost locks as other programs see them. Does not belong here: how
//! many calls that takes (queue/redis/tests).

use crate::harness::{Backend, Folder, notification, until};
use crate::npm;
use crate::redis_queues::{ask, sign_up, told_by_node};
use crate::services::Redis;
use serde_json::{Value, json};

const PACKAGES: &[&str] = &["bullmq@5", "ioredis@5"];

async fn set(backend: &Backend, settings: &Value) {
    let token = Some(backend.admin_token.as_str());
    let body = json!({"set": settings});
    let (status, answer) = backend.post("/api/live-view/control", &body, token).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_batch_leaves_and_ends_as_with_bullmqs_own_worker() {
    let (Some(modules), Some(redis)) = (npm::packages(PACKAGES), Redis::start().await) else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    let fast = json!({"workers.in-app.rate_per_s": 1000, "workers.in-app.concurrency": 8});
    set(&backend, &fast).await;
    let (session, mut socket) = backend.quiet_client("ada").await;
    let script = r#"
const { Queue, QueueEvents, Worker } = require("bullmq");
const [url, userId] = process.argv.slice(2);
const { port } = new URL(url);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const options = [{}, { priority: 3 }, { priority: 1 }, { lifo: true }, { priority: 2 }, { priority: 1 }];
const ids = Array.from({ length: 48 }, (_, n) => `n-${n}`);
const play = async () => {
  const told = {};
  for (const name of ["in-app", "peer"]) {
    const queue = new Queue(name, { connection });
    const events = new QueueEvents(name, { connection });
    await events.waitUntilReady();
    await queue.pause();
    const data = { type: "login", userId, title: "From Node", message: "added by npm" };
    const jobs = [];
    for (const [n, jobId] of ids.entries()) jobs.push(await queue.add("login", data, { jobId, ...options[n % options.length] }));
    const brief = await queue.add("login", data, { jobId: "brief", removeOnComplete: true });
    const worker = name === "peer" ? new Worker(name, async () => "delivered", { connection }) : undefined;
    const over = [...jobs, brief].map((job) => job.waitUntilFinished(events, 30000));
    await queue.resume();
    const values = await Promise.all(over);
    await worker?.close();
    const client = await queue.client;
    const stream = (await client.xrange(`bull:${name}:events`, "-", "+")).map(([, fields]) => {
      const event = {};
      for (let n = 0; n < fields.length; n += 2) event[fields[n]] = fields[n + 1];
      return event;
    });
    const hash = await client.hgetall(`bull:${name}:n-1`);
    for (const moment of ["processedOn", "finishedOn", "timestamp", "data"]) {
      if (!hash[moment]) throw new Error(`${name}: no ${moment}`);
      delete hash[moment];
    }
    const job = await queue.getJob("n-1");
    const counts = await queue.getJobCounts("active", "wait", "prioritized", "completed", "failed", "delayed");
    told[name] = {
      values, hash, counts, state: await job.getState(), returned: job.returnvalue, attempts: job.attemptsMade,
      order: stream.filter((it) => it.event === "active" && ids.includes(it.jobId)).map((it) => it.jobId),
      story: stream.filter((it) => it.jobId === "n-1"),
      last: stream.at(-1).event,
      brief: (await queue.getJob("brief")) ?? "gone",
      locks: await client.keys(`bull:${name}:*:lock`),
    };
    const wentBack = stream.some((it) => it.event === "delayed");
    await events.close();
    // Where the machine is slow, one waits in vain for the one before it to be told and goes back: once more.
    if (wentBack) await queue.obliterate();
    await queue.close();
    if (wentBack) return undefined;
  }
  return told;
};
(async () => {
  let told;
  while (!told) told = await play();
  console.log(JSON.stringify(told));
})().catch((error) => { console.error(error); process.exit(1); });
"#;
    let mut heard = 0;
    let hearing = async {
        loop {
            assert_eq!(notification(&mut socket).await["title"], "From Node");
            heard += 1;
        }
    };
    let playing = told_by_node(&modules, script, &redis, &session, async {});
    let told = tokio::select! {
        told = playing => told,
        () = hearing => unreachable!("it hears for ever"),
    };
    assert_eq!(heard % 49, 0, "all that ended well was heard");
    assert!(heard > 0);
    let ours = &told["in-app"];
    assert_eq!(ours, &told["peer"]);
    assert_eq!(ours["order"].as_array().expect("a list").len(), 48);
    assert_eq!(ours["counts"]["completed"], 48, "{told}");
    assert_eq!(ours["values"][0], "delivered");
    assert_eq!(ours["state"], "completed");
    assert_eq!(ours["returned"], "delivered");
    assert_eq!(ours["brief"], "gone");
    assert_eq!(ours["last"], "drained");
}

#[tokio::test]
async fn a_paused_queue_gives_nothing_until_it_goes_on() {
    let (Some(modules), Some(redis)) = (npm::packages(PACKAGES), Redis::start().await) else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    let script = r#"
const { Queue } = require("bullmq");
const [url, what] = process.argv.slice(2);
const { port } = new URL(url);
(async () => {
  const queue = new Queue("in-app", { connection: { host: "127.0.0.1", port: Number(port) } });
  await queue[what]();
  console.log(JSON.stringify(await queue.isPaused()));
  await queue.close();
})().catch((error) => { console.error(error); process.exit(1); });
"#;
    let url = redis.url();
    let paused = npm::run(&modules, script, &[&url, "pause"]).await;
    assert_eq!(paused.trim(), "true");
    let session = backend.user("ada").await;
    let mut socket = backend.socket_of(&session).await;
    // The welcome mail, stored at the same time, has gone: the workers are awake.
    until("the mail", async || {
        (backend.mails().len() == 1).then_some(())
    })
    .await;
    let mut connection = redis.connection().await;
    let waiting: u64 = ask(&mut connection, &["ZCARD", "bull:in-app:prioritized"]).await;
    let active: u64 = ask(&mut connection, &["LLEN", "bull:in-app:active"]).await;
    assert_eq!((waiting, active), (1, 0));
    let events: Vec<(String, Vec<String>)> =
        ask(&mut connection, &["XRANGE", "bull:in-app:events", "-", "+"]).await;
    let began = |(_, fields): &(String, Vec<String>)| fields.iter().any(|it| it == "active");
    assert!(!events.iter().any(began), "{events:?}");
    let paused = npm::run(&modules, script, &[&url, "resume"]).await;
    assert_eq!(paused.trim(), "false");
    assert_eq!(notification(&mut socket).await["type"], "login");
}

#[tokio::test]
async fn a_run_whose_lock_was_lost_to_another_process_stays_with_that_one() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    set(&backend, &json!({"delays.emailDelivery": 1500})).await;
    sign_up(&backend, "ada").await;
    until("the run", async || {
        let mut connection = redis.connection().await;
        let active: u64 = ask(&mut connection, &["LLEN", "bull:mail:active"]).await;
        (active == 1).then_some(())
    })
    .await;
    let mut connection = redis.connection().await;
    let lock = "bull:mail:1-1:lock";
    let mine: String = ask(&mut connection, &["GETSET", lock, "other"]).await;
    assert_eq!(mine.len(), 32, "{mine}");
    sign_up(&backend, "bea").await;
    until("the other mail's end", async || {
        let mut connection = redis.connection().await;
        let done: Vec<String> = ask(
            &mut connection,
            &["ZRANGE", "bull:mail:completed", "0", "-1"],
        )
        .await;
        (!done.is_empty()).then(|| assert_eq!(done, ["2-1"]))
    })
    .await;
    // The first one began earlier and takes as long.
    until("both mails", async || {
        (backend.mails().len() == 2).then_some(())
    })
    .await;
    let active: Vec<String> =
        ask(&mut connection, &["LRANGE", "bull:mail:active", "0", "-1"]).await;
    assert_eq!(active, ["1-1"]);
    let holder: String = ask(&mut connection, &["GET", lock]).await;
    assert_eq!(holder, "other");
    let ended: Option<String> =
        ask(&mut connection, &["HGET", "bull:mail:1-1", "finishedOn"]).await;
    assert_eq!(ended, None);
}
