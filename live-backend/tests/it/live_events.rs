//! The namespace `/live-view` as the stock JavaScript client sees it: events by name, subscriptions, batches,
//! MessagePack, compression, and who is turned away.

use crate::harness::{Backend, Folder};
use crate::npm::{SOCKET_IO_CLIENT, packages, run};
use serde_json::{Value, json};

/// What every script begins with.
const PRELUDE: &str = r#"
const { io } = require("socket.io-client");
const [base, token, userToken] = process.argv.slice(2);
const fail = (what) => { console.error(what); process.exit(1); };
setTimeout(() => fail("nothing for 50 s"), 50000);
const open = (query, auth) =>
  io(base + "/live-view", { transports: ["websocket"], forceNew: true, reconnection: false, query, auth });
const post = async (path, body, bearer) => {
  const headers = { "content-type": "application/json" };
  if (bearer) headers.authorization = "Bearer " + bearer;
  const answer = await fetch(base + path, { method: "POST", headers, body: JSON.stringify(body) });
  return [answer.status, await answer.json()];
};
let number = 0;
const signUp = async () => {
  const username = "guest-" + process.pid + "-" + number++;
  const [status, answer] = await post("/api/signups",
    { username, email: username + "@people.example", password: "correct horse 1" });
  if (status !== 201) fail("sign-up " + status);
  return answer.requestId;
};
const until = (what, look) => new Promise((done) => {
  const timer = setInterval(() => { const found = look(); if (found) { clearInterval(timer); done(found); } }, 5);
});
const done = (value) => process.stdout.write(JSON.stringify(value), () => process.exit(0));
"#;

async fn script(backend: &Backend, body: &str, user_token: &str) -> Option<Value> {
    let modules = packages(&[SOCKET_IO_CLIENT])?;
    let script = format!("{PRELUDE}(async () => {{\n{body}\n}})().catch((e) => fail(e.stack));");
    let arguments = [backend.http.base(), &backend.admin_token, user_token];
    let printed = run(&modules, &script, &arguments).await;
    Some(serde_json::from_str(&printed).expect("the script prints JSON"))
}

#[tokio::test]
async fn the_stock_client_gets_every_event_of_a_request_by_its_name() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let body = r#"
const socket = open({}, { token });
const all = [];
socket.onAny((name, data) => all.push([name, data]));
await until("a word", () => all.length > 0);
const first = all[0];
const id = await signUp();
await until("its end", () => all.find(([name, data]) => name === "request:complete" && data.requestId === id));
await until("a second header", () => all.filter(([name]) => name === "system:metrics").length >= 2);
await until("cards", () => all.find(([name, data]) => name === "component:metrics" && data.component === "smtp"
  && data.metrics.sent >= 1));
done({ first, id, all });
"#;
    let Some(told) = script(&backend, body, "").await else {
        return;
    };
    assert_eq!(told["first"][0], "system:status");
    let word = &told["first"][1];
    assert!(["healthy", "degraded"].contains(&word["status"].as_str().expect("a word")));
    assert_eq!(word["components"].as_array().map(Vec::len), Some(16));
    let all: Vec<(&str, &Value)> = told["all"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|pair| (pair[0].as_str().expect("a name"), &pair[1]))
        .collect();
    let numbers: Vec<u64> = all
        .iter()
        .filter_map(|(_, data)| data["seq"].as_u64())
        .collect();
    assert_eq!(numbers.len(), all.len(), "every event has a number");
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let of_request: Vec<&str> = all
        .iter()
        .filter(|(name, data)| data["requestId"] == told["id"] && *name != "request:progress")
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(
        of_request,
        [
            "request:new",
            "queue:job:added",
            "queue:job:processing",
            "notification:email:sent",
            "queue:job:completed",
            "request:complete"
        ]
    );
    let header = all.iter().find(|(name, _)| *name == "system:metrics");
    let header = header
        .expect("told every second")
        .1
        .as_object()
        .expect("a map");
    // Each of them, null where nothing is known yet.
    for key in [
        "systemStatus",
        "activeRequests",
        "requestsPerSecond",
        "averageLatency",
        "errorRate",
        "uptime",
        "timestamp",
    ] {
        assert!(header.contains_key(key), "{key} in {header:?}");
    }
    for name in ["worker:processing", "worker:idle"] {
        assert!(all.iter().any(|(found, _)| *found == name), "{name}");
    }
    let journey = backend.journey(told["id"].as_str().expect("an id")).await;
    let progress = all
        .iter()
        .filter(|(name, data)| *name == "request:progress" && data["requestId"] == told["id"]);
    assert_eq!(
        Some(progress.count()),
        journey["logs"].as_array().map(Vec::len)
    );
}

#[tokio::test]
async fn the_stock_client_hears_only_what_it_subscribed_to() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let body = r#"
const witness = open({}, { token });
const complete = [];
witness.on("request:complete", (data) => complete.push(data.requestId));
const socket = open({}, { token });
await new Promise((ready) => socket.once("system:status", ready));
const first = await socket.emitWithAck("subscribe", ["queue:job:failed"]);
const heard = [];
socket.onAny((name, data) => heard.push([name, data]));
const finish = async () => {
  const id = await signUp();
  await until("its end", () => complete.includes(id));
  await socket.emitWithAck("subscribe", []);
};
await finish();
const afterFailedOnly = heard.length;
await socket.emitWithAck("subscribe", ["request:new"]);
await finish();
const afterNew = heard.map(([name]) => name);
const left = await socket.emitWithAck("unsubscribe", ["request:new"]);
heard.length = 0;
await finish();
const afterUnsubscribe = heard.length;
const mixed = await socket.emitWithAck("subscribe", ["party", "worker:idle"]);
const error = heard.find(([name]) => name === "error");
done({ first, afterFailedOnly, afterNew, left, afterUnsubscribe, mixed, error });
"#;
    let Some(told) = script(&backend, body, "").await else {
        return;
    };
    assert_eq!(told["first"], json!({"events": ["queue:job:failed"]}));
    assert_eq!(told["afterFailedOnly"], 0);
    assert_eq!(told["afterNew"], json!(["request:new"]));
    assert_eq!(told["left"], json!({"events": ["queue:job:failed"]}));
    assert_eq!(told["afterUnsubscribe"], 0);
    assert_eq!(
        told["mixed"],
        json!({"events": ["queue:job:failed", "worker:idle"]})
    );
    assert_eq!(told["error"][1]["events"], json!(["party"]));
    assert_eq!(told["error"][1]["code"], "unknown_event");
}

#[tokio::test]
async fn who_may_not_watch_gets_an_error_and_nothing_else() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let user = backend.user("ada").await;
    let body = r#"
const refused = (auth, emitted) => new Promise((seen) => {
  const socket = open({}, auth);
  const heard = [];
  socket.onAny((name, data) => {
    heard.push([name, data.code]);
    if (emitted) socket.disconnect();
  });
  if (emitted) socket.on("connect", () => socket.emit("authenticate", emitted));
  socket.on("disconnect", () => seen([...heard]));
});
const late = new Promise((seen) => {
  const socket = open({}, {});
  const heard = [];
  socket.onAny((name, data) => { heard.push(name); });
  socket.on("system:status", () => seen([...heard]));
  socket.on("connect", () => socket.emit("authenticate", { token }));
});
done({
  wrong: await refused({ token: "nonsense" }),
  user: await refused({ token: userToken }),
  userLate: await refused({}, { token: userToken }),
  late: await late,
});
"#;
    let token = user["sessionToken"].as_str().expect("a token");
    let Some(told) = script(&backend, body, token).await else {
        return;
    };
    assert_eq!(told["wrong"], json!([["auth:error", "unauthorized"]]));
    assert_eq!(told["user"], json!([["auth:error", "forbidden"]]));
    assert_eq!(told["userLate"], json!([["auth:error", "forbidden"]]));
    assert_eq!(told["late"], json!(["auth:success", "system:status"]));
}

#[tokio::test]
async fn batches_come_every_100_ms_and_keep_their_order() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let body = r#"
const socket = open({ batch: "1" }, { token });
const at = [], all = [], lags = [];
socket.on("batch", (list) => {
  at.push(performance.now());
  all.push(...list);
  const now = Date.now();
  for (const { event, data } of list) if (event.startsWith("queue:job:") && data.timestamp) lags.push(now - data.timestamp);
});
await until("a word", () => all.length > 0);
const [status] = await post("/api/live-view/simulate", { type: "purchase", count: 60, interval: 50 }, token);
if (status !== 202) fail("simulate " + status);
await until("them all", () => all.filter(({ event }) => event === "request:new").length === 60);
const gaps = at.slice(2).map((t, index) => t - at[index + 1]).sort((a, b) => a - b);
lags.sort((a, b) => a - b);
done({ gaps, lag: lags[Math.floor(lags.length / 2)], seqs: all.map(({ data }) => data.seq), first: all[0].event, batches: at.length });
"#;
    let Some(told) = script(&backend, body, "").await else {
        return;
    };
    assert_eq!(told["first"], "system:status");
    let gaps: Vec<f64> = told["gaps"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_f64)
        .collect();
    assert!(gaps.len() >= 20, "{gaps:?}");
    let median = gaps[gaps.len() / 2];
    assert!((80.0..180.0).contains(&median), "{median} in {gaps:?}");
    let lag = told["lag"].as_i64().expect("jobs were told");
    assert!(
        lag < 200,
        "a change of a job's status is seen after {lag} ms"
    );
    let seqs: Vec<u64> = told["seqs"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_u64)
        .collect();
    assert!(seqs.is_sorted_by(|a, b| a < b));
}

#[tokio::test]
async fn messagepack_decodes_with_rmp_serde_and_compression_halves_the_bytes() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    let body = r#"
const zlib = require("zlib");
const packed = open({ fmt: "msgpack" }, { token });
const attachments = [];
packed.onAny((name, data) => attachments.push([name, Buffer.isBuffer(data) ? data.toString("hex") : null]));
const plain = open({}, { token });
let plainBytes = 0, plainCount = 0;
plain.on("request:progress", (data) => { plainBytes += JSON.stringify(["request:progress", data]).length; plainCount++; });
const zipped = open({ fmt: "msgpack", zip: "deflate" }, { token });
await zipped.emitWithAck("subscribe", ["request:progress"]);
await plain.emitWithAck("subscribe", ["request:progress"]);
await until("a word", () => attachments.length > 0);
let zippedBytes = 0, lists = [];
zipped.on("batch", (data) => { zippedBytes += data.length; lists.push(zlib.inflateSync(data).toString("hex")); });
const [status] = await post("/api/live-view/simulate", { type: "purchase", count: 60, interval: 0 }, token);
if (status !== 202) fail("simulate " + status);
await until("a thousand", () => plainCount >= 1000);
done({ attachments: attachments.slice(0, 200), plainBytes, zippedBytes, lists });
"#;
    let Some(told) = script(&backend, body, "").await else {
        return;
    };
    let mut names = Vec::new();
    for pair in told["attachments"].as_array().expect("a list") {
        let name = pair[0].as_str().expect("a name");
        let bytes = from_hex(pair[1].as_str().expect("one binary attachment"));
        let data: Value = rmp_serde::from_slice(&bytes).expect("MessagePack");
        assert!(data["seq"].is_u64(), "{name}: {data}");
        names.push(name);
    }
    assert_eq!(names.first(), Some(&"system:status"));
    assert!(names.contains(&"request:progress"));
    let mut count = 0;
    for list in told["lists"].as_array().expect("a list") {
        let bytes = from_hex(list.as_str().expect("a text"));
        let items: Vec<Value> = rmp_serde::from_slice(&bytes).expect("MessagePack");
        assert!(items.iter().all(|item| item["event"] == "request:progress"));
        count += items.len();
    }
    assert!(count >= 900, "{count}");
    let (plain, zipped) = (told["plainBytes"].as_u64(), told["zippedBytes"].as_u64());
    assert!(
        zipped.expect("a number") * 2 < plain.expect("a number"),
        "{zipped:?} of {plain:?}"
    );
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("hexadecimal digits");
        u8::from_str_radix(pair, 16).expect("hexadecimal digits")
    };
    digits.map(byte).collect()
}
