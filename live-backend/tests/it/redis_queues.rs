//! Queues on a real Redis, seen from outside: by Redis's own commands and by BullMQ's npm packages.
//!
//! Belongs here: the layout, other programs' jobs in our queues and ours in theirs, login, connections.
//! Does not belong here: outages (redis_outages), what is the same on embedded queues (other topics).

use crate::harness::{Backend, Folder, command, notification, until};
use crate::npm;
use crate::retries::break_relay;
use crate::services::Redis;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use std::path::Path;

const PACKAGES: &[&str] = &["bullmq@5", "ioredis@5"];
const BOARD_PACKAGES: &[&str] = &["bullmq@5", "ioredis@5", "@bull-board/api@6"];
/// Rests end so much later than they should at most, on a machine that builds at the same time.
const LATE_MS_MAX: u64 = 500;

pub(crate) async fn ask<T: redis::FromRedisValue>(
    connection: &mut MultiplexedConnection,
    words: &[&str],
) -> T {
    let (name, arguments) = words.split_first().expect("a command");
    let mut command = redis::cmd(name);
    command.arg(arguments);
    command.query_async(connection).await.expect("an answer")
}

pub(crate) async fn sign_up(backend: &Backend, name: &str) {
    let email = format!("{name}@people.example");
    let body = json!({"username": name, "email": email, "password": "correct horse 1"});
    let (status, answer) = backend.post("/api/signups", &body, None).await;
    assert_eq!(status, 201, "{answer}");
}

/// What a program on Node prints that is given that Redis and the user of that session, while somebody hears
/// what it has us tell.
pub(crate) async fn told_by_node(
    modules: &Path,
    script: &str,
    redis: &Redis,
    session: &Value,
    hearing: impl Future<Output = ()>,
) -> Value {
    let url = redis.url();
    let arguments = [url.as_str(), session["userId"].as_str().expect("an id")];
    let (printed, ()) = tokio::join!(npm::run(modules, script, &arguments), hearing);
    serde_json::from_str(&printed).expect("JSON")
}

#[tokio::test]
async fn a_dead_letter_and_its_climb_stand_under_bullmqs_keys() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let folder = Folder::new();
    let arguments = ["--retry-scale", "3000", "--queue", &redis.url()];
    let backend = Backend::start(folder.path(), &arguments);
    break_relay(&backend, "1h").await;
    sign_up(&backend, "ada").await;
    let mut connection = redis.connection().await;
    let letters: Vec<String> = until("a dead letter", async || {
        let mut connection = redis.connection().await;
        let found: Vec<String> =
            ask(&mut connection, &["LRANGE", "bull:dlq:wait", "0", "-1"]).await;
        (!found.is_empty()).then_some(found)
    })
    .await;
    assert_eq!(letters, ["1-dead"]);
    let data: String = ask(&mut connection, &["HGET", "bull:dlq:1-dead", "data"]).await;
    let data: Value = serde_json::from_str(&data).expect("JSON");
    let reason = data["lastError"].as_str().expect("a text");
    assert!(!reason.is_empty(), "{data}");
    let attempts: Vec<u64> = data["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|run| run["attempt"].as_u64().expect("a number"))
        .collect();
    assert_eq!(attempts, [1, 2, 3], "{data}");
    for key in [
        "requestId",
        "notificationId",
        "jobId",
        "type",
        "channel",
        "part",
        "time",
    ] {
        assert!(data[key].is_string(), "{key} in {data}");
    }
    assert_eq!(data["recipient"]["userId"], "1");
    let failed: Vec<String> =
        ask(&mut connection, &["ZRANGE", "bull:mail:failed", "0", "-1"]).await;
    assert_eq!(failed, ["1-1", "1-2", "1-3"]);
    for (queue, id, rest_ms) in [("retry-1", "1-2", 100), ("retry-2", "1-3", 600)] {
        let fields = ["timestamp", "processedOn"];
        let key = format!("bull:{queue}:{id}");
        let times: Vec<u64> = ask(&mut connection, &["HMGET", &key, fields[0], fields[1]]).await;
        let rested_ms = times[1] - times[0];
        let allowed = rest_ms..=rest_ms + LATE_MS_MAX;
        assert!(allowed.contains(&rested_ms), "{queue}: {rested_ms} ms");
    }
    let clients: String = ask(&mut connection, &["CLIENT", "LIST"]).await;
    // Two connections are this test's own.
    let count = clients.lines().count() - 2;
    assert!(count <= 10, "{clients}");
}

#[tokio::test]
async fn bullmq_on_node_adds_jobs_that_we_run_and_sees_how_they_ended() {
    let (Some(modules), Some(redis)) = (npm::packages(PACKAGES), Redis::start().await) else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    let (session, mut socket) = backend.quiet_client("ada").await;
    let script = r#"
const { Queue, QueueEvents } = require("bullmq");
const [url, userId] = process.argv.slice(2);
const { port } = new URL(url);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
(async () => {
  const queue = new Queue("in-app", { connection });
  const events = new QueueEvents("in-app", { connection });
  await events.waitUntilReady();
  const good = { type: "friend_request", userId, title: "From Node", message: "added by npm", priority: "high" };
  const job = await queue.add("friend_request", good);
  await job.waitUntilFinished(events, 30000);
  const bad = [];
  for (const data of [{}, { ...good, type: "party" }, { ...good, userId: 99 }, { ...good, title: 5 }, "text", { jobId: 7 }]) {
    const job = await queue.add("bad", data);
    await job.waitUntilFinished(events, 30000).then(() => bad.push("completed"), (error) => bad.push(error.message));
  }
  const late = await queue.add("late", { ...good, title: "Later" }, { delay: 700 });
  await late.waitUntilFinished(events, 30000);
  const after = await queue.getJob(late.id);
  const counts = await queue.getJobCounts();
  console.log(JSON.stringify({ state: await job.getState(), bad, counts, waited: after.processedOn - after.timestamp }));
  await events.close();
  await queue.close();
})().catch((error) => { console.error(error); process.exit(1); });
"#;
    let hearing = async {
        for title in ["From Node", "Later"] {
            let news = notification(&mut socket).await;
            assert_eq!(news["title"], title, "{news}");
        }
    };
    let told = told_by_node(&modules, script, &redis, &session, hearing).await;
    assert_eq!(told["state"], "completed");
    let reasons = told["bad"].to_string();
    for part in [
        "type is missing",
        "party",
        "no user 99",
        "title is missing",
        "not a job's",
    ] {
        assert!(reasons.contains(part), "{part} in {reasons}");
    }
    assert!(!reasons.contains("completed"), "{reasons}");
    let waited = told["waited"].as_u64().expect("a number");
    assert!((700..=700 + LATE_MS_MAX).contains(&waited), "{waited} ms");
}

#[tokio::test]
async fn bullmq_on_node_and_its_board_read_and_serve_our_jobs() {
    let (Some(modules), Some(redis)) = (npm::packages(BOARD_PACKAGES), Redis::start().await) else {
        return;
    };
    let folder = Folder::new();
    let arguments = ["--retry-scale", "3000", "--queue", &redis.url()];
    let backend = Backend::start(folder.path(), &arguments);
    sign_up(&backend, "ada").await;
    until("the first mail", async || {
        (backend.mails().len() == 1).then_some(())
    })
    .await;
    break_relay(&backend, "1h").await;
    sign_up(&backend, "bea").await;
    until("a dead letter", async || {
        let mut connection = redis.connection().await;
        let count: u64 = ask(&mut connection, &["LLEN", "bull:dlq:wait"]).await;
        (count == 1).then_some(())
    })
    .await;
    let script = r#"
const { Queue, QueueEvents, Worker } = require("bullmq");
const { createBullBoard } = require("@bull-board/api");
const { BullMQAdapter } = require("@bull-board/api/bullMQAdapter");
const [url] = process.argv.slice(2);
const { port } = new URL(url);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
(async () => {
  const names = ["mail", "retry-1", "retry-2", "dlq", "in-app", "in-app-retry"];
  const queues = names.map((name) => new Queue(name, { connection }));
  const adapters = queues.map((queue) => new BullMQAdapter(queue));
  // The board itself, on a server adapter that only notes what it is given.
  let listed = 0;
  const server = { setQueues: (all) => { listed = all.size; return server; } };
  for (const name of ["setViewsPath", "setStaticPath", "setEntryRoute", "setErrorHandler", "setApiRoutes", "setUIConfig"])
    server[name] = () => server;
  createBullBoard({ queues: adapters, serverAdapter: server });
  const counts = {};
  for (const [index, adapter] of adapters.entries()) counts[names[index]] = await adapter.getJobCounts();
  const [done] = await adapters[0].getJobs(["completed"], 0, 9);
  const [failed] = await adapters[0].getJobs(["failed"], 0, 0);
  const served = await new Promise((resolve, reject) => {
    const worker = new Worker("dlq", async (job) => job.data.lastError, { connection });
    worker.on("completed", (job, value) => worker.close().then(() => resolve({ id: job.id, value })));
    worker.on("error", reject);
  });
  const dead = await queues[3].getJob(served.id);
  console.log(JSON.stringify({ listed, counts, done: done.data, failed: failed.failedReason, served, state: await dead.getState() }));
  for (const queue of queues) await queue.close();
})().catch((error) => { console.error(error); process.exit(1); });
"#;
    let printed = npm::run(&modules, script, &[&redis.url()]).await;
    let told: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(told["listed"], 6, "{told}");
    let counts = &told["counts"];
    assert_eq!(counts["mail"]["completed"], 1, "{told}");
    assert_eq!(counts["mail"]["failed"], 3, "{told}");
    assert_eq!(counts["retry-1"]["completed"], 1, "{told}");
    assert_eq!(counts["retry-2"]["completed"], 1, "{told}");
    assert_eq!(counts["dlq"]["waiting"], 1, "{told}");
    assert_eq!(told["done"]["type"], "signup", "{told}");
    assert_eq!(told["served"]["id"], "2-dead", "{told}");
    assert_eq!(told["served"]["value"], told["failed"], "{told}");
    assert_eq!(told["state"], "completed", "{told}");
}

#[tokio::test]
async fn a_mail_that_bullmq_on_node_has_served_is_delivered_and_not_sent_again() {
    let (Some(modules), Some(redis)) = (npm::packages(PACKAGES), Redis::start().await) else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &redis.url()]);
    let workers = async |count: u64| {
        let command = json!({"set": {"workers.mail.count": count}});
        let token = Some(backend.admin_token.as_str());
        let (status, answer) = backend
            .post("/api/live-view/control", &command, token)
            .await;
        assert_eq!(status, 200, "{answer}");
    };
    workers(0).await;
    sign_up(&backend, "ada").await;
    let script = r#"
const { Worker } = require("bullmq");
const [url] = process.argv.slice(2);
const { port } = new URL(url);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const worker = new Worker("mail", async (job) => job.data.type, { connection });
worker.on("completed", (job, value) => worker.close().then(() => console.log(value)));
worker.on("error", (error) => { console.error(error); process.exit(1); });
"#;
    let printed = npm::run(&modules, script, &[&redis.url()]).await;
    assert_eq!(printed.trim(), "signup");
    until("the store to know of it", async || {
        let token = Some(backend.admin_token.as_str());
        let path = "/api/signups/1/welcome-email-status";
        let (_, told) = backend.get(path, token).await;
        told.to_string().contains("\"delivered\"").then_some(())
    })
    .await;
    workers(1).await;
    sign_up(&backend, "bea").await;
    let mails = until("the mail that is ours to send", async || {
        let mails = backend.mails();
        (!mails.is_empty()).then_some(mails)
    })
    .await;
    assert!(mails.len() == 1 && mails[0].contains("bea"), "{mails:?}");
    let is_added_again = backend.log().contains("added to their queues again");
    assert!(!is_added_again, "{}", backend.log());
}

#[tokio::test]
async fn a_user_and_a_password_log_in_and_a_wrong_one_is_one_sentence() {
    let acl = "--user default off --user flow on >rightword ~* &* +@all";
    let acl: Vec<&str> = acl.split(' ').collect();
    let Some(redis) = Redis::start_with(&acl).await else {
        return;
    };
    let with = |password: &str| redis.url().replace("//", &format!("//flow:{password}@"));
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--queue", &with("rightword")]);
    sign_up(&backend, "ada").await;
    until("the mail", async || {
        (backend.mails().len() == 1).then_some(())
    })
    .await;
    drop(backend);

    let other = Folder::new();
    let refused = command(other.path())
        .args(["--port-base", "0", "--queue", &with("wrongword")])
        .output()
        .expect("the program was built with this test");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("REDIS_URL"), "{said}");
    assert!(!said.contains("wrongword"), "{said}");
}
