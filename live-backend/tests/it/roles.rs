//! Every role its own process, on a real Redis and mongod: they are one system, and it survives its parts.

use crate::harness::{Folder, PATIENCE, command, event, notification, sound_reel, until};
use crate::services::{Mongod, Redis};
use flowreel_live_backend::load::{Http, Socket};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;

pub(crate) const ROLES: [&[&str]; 8] = [
    &["recorder"],
    &["balancer"],
    &["server", "--index", "1"],
    &["server", "--index", "2"],
    &["server", "--index", "3"],
    &["mail-worker"],
    &["in-app-worker"],
    &["gateway"],
];
const PASSWORD: &str = "correct horse 1";

/// All roles on services of their own; killed when dropped.
pub(crate) struct System {
    folder: Folder,
    arguments: Vec<String>,
    base: u16,
    roles: Vec<Option<Child>>,
    ready: Vec<Value>,
    services: (Redis, Mongod),
}

impl System {
    /// `None` where a service is not there.
    pub(crate) async fn start(more: &[&str]) -> Option<Self> {
        let (redis, mongod) = (Redis::start().await?, Mongod::start().await?);
        let base = free_base();
        let arguments = [
            "--queue".to_owned(),
            redis.url(),
            "--store".to_owned(),
            mongod.url("roles"),
            "--port-base".to_owned(),
            base.to_string(),
            "--print-ready".to_owned(),
        ];
        let more = more.iter().map(|&argument| argument.to_owned());
        let mut system = Self {
            folder: Folder::new(),
            arguments: arguments.into_iter().chain(more).collect(),
            base,
            roles: ROLES.iter().map(|_| None).collect(),
            ready: vec![Value::Null; ROLES.len()],
            services: (redis, mongod),
        };
        // The recorder comes last: whoever needs it waits.
        let children: Vec<Child> = (0..ROLES.len()).rev().map(|at| system.spawn(at)).collect();
        for (at, child) in (0..ROLES.len()).rev().zip(children) {
            system.await_ready(at, child);
        }
        let http = system.balancer();
        until("every server to be healthy", async || {
            let (status, _) = http.get("/api/health", None).await.ok()?;
            (status == 200).then_some(())
        })
        .await;
        Some(system)
    }

    fn spawn(&self, at: usize) -> Child {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log(at))
            .expect("the folder can be written");
        command(self.folder.path())
            .args(ROLES[at])
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program was built with this test")
    }

    fn await_ready(&mut self, at: usize, mut child: Child) {
        let stdout = child.stdout.take().expect("it is piped");
        let (line_in, line_out) = sync_channel(1);
        std::thread::spawn(move || {
            if let Some(Ok(line)) = BufReader::new(stdout).lines().next() {
                drop(line_in.send(line));
            }
        });
        let line = line_out.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let log = std::fs::read_to_string(self.log(at)).unwrap_or_default();
            panic!("{:?} gives no ready line; its log says:\n{log}", ROLES[at])
        });
        self.ready[at] = serde_json::from_str(&line).expect("the ready line is JSON");
        self.roles[at] = Some(child);
    }

    fn log(&self, at: usize) -> PathBuf {
        self.folder
            .path()
            .join(format!("{}.log", ROLES[at].join("-")))
    }

    pub(crate) fn balancer(&self) -> Http {
        Http::new(&format!("http://127.0.0.1:{}", self.base))
    }

    pub(crate) const fn redis(&self) -> &Redis {
        &self.services.0
    }

    /// An administrator's.
    pub(crate) fn admin_token(&self) -> &str {
        self.ready[2]["admin_token"].as_str().expect("a token")
    }

    /// Where the recorder writes.
    pub(crate) fn reel(&self) -> &Path {
        Path::new(self.ready[0]["reel"].as_str().expect("a recording was on"))
    }

    pub(crate) fn server_url(&self, index: u16) -> String {
        format!("http://127.0.0.1:{}", self.base + index)
    }

    pub(crate) fn signal(&mut self, at: usize, signal: &str) -> bool {
        let mut child = self.roles[at].take().expect("it runs");
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(sent.expect("`kill` exists").success());
        child.wait().expect("it was started here").success()
    }

    pub(crate) fn restart(&mut self, at: usize) {
        let child = self.spawn(at);
        self.await_ready(at, child);
    }

    /// What the workers keep.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Ends every role in good order and gives the reel; the recorder goes last, so that it hears everybody's end.
    pub(crate) fn stop(&mut self) -> PathBuf {
        for at in (0..ROLES.len()).rev() {
            assert!(self.signal(at, "-TERM"), "{:?} ended badly", ROLES[at]);
        }
        self.reel().to_owned()
    }

    /// What `status` says: its exit code and its answer.
    pub(crate) fn status(&self) -> (Option<i32>, Value) {
        let output = command(self.folder.path())
            .args(["status", "--json"])
            .args(&self.arguments)
            .output()
            .expect("it was built with this test");
        let answer = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), answer)
    }
}

impl Drop for System {
    fn drop(&mut self) {
        for child in self.roles.iter_mut().flatten() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// The first of six free ports in a row.
fn free_base() -> u16 {
    let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let found = (0..100).find_map(|_| {
        let base = crate::services::free_port();
        let all = base < 65_000 && (base..base + 6).all(is_free);
        all.then_some(base)
    });
    found.expect("six ports in a row are free")
}

pub(crate) async fn sign_up(http: &Http, name: &str) {
    let email = format!("{name}@people.example");
    let body = json!({"username": name, "email": email, "password": PASSWORD});
    let (status, answer) = http
        .post("/api/signups", &body, None)
        .await
        .expect("an answer");
    assert_eq!(status, 201, "{answer}");
}

pub(crate) async fn log_in(http: &Http, name: &str) -> String {
    let email = format!("{name}@people.example");
    let body = json!({"email": email, "password": PASSWORD});
    let (status, answer) = http
        .post("/api/logins", &body, None)
        .await
        .expect("an answer");
    assert_eq!(status, 200, "{answer}");
    answer["sessionToken"].as_str().expect("a token").to_owned()
}

pub(crate) async fn socket_at(url: &str, token: &str) -> Socket {
    let mut socket = Socket::connect(url, "/").await.expect("a socket");
    socket.authenticate(token).await.expect("auth:success");
    socket
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_accepts_is_delivered_by_another_and_recorded_once() {
    let Some(mut system) = System::start(&[]).await else {
        return;
    };
    let balancer = system.balancer();
    let (first, third) = (Http::new(&system.server_url(1)), system.server_url(3));
    sign_up(&first, "ada").await;
    let token = log_in(&first, "ada").await;
    let mut socket = socket_at(&third, &token).await;
    assert_eq!(notification(&mut socket).await["type"], "login");
    let purchase = json!({"item": "Blue lantern", "amount": 12.5, "currency": "EUR"});
    let bought = first.post("/api/purchases", &purchase, Some(&token)).await;
    assert_eq!(bought.expect("an answer").0, 201);
    assert_eq!(notification(&mut socket).await["type"], "purchase");
    // Every server has its turn.
    for _ in 0..6 {
        log_in(&balancer, "ada").await;
        assert_eq!(notification(&mut socket).await["type"], "login");
    }
    let mails = system.folder.path().join("data");
    until("a mail that names the item", async || {
        let mails = crate::harness::mails_in(&mails);
        mails
            .iter()
            .any(|mail| mail.contains("Blue lantern"))
            .then_some(())
    })
    .await;
    let (code, answer) = system.status();
    assert_eq!((code, &answer["up"]), (Some(0), &json!(true)), "{answer}");

    // A killed server is named, its user's socket moves, and what was missed arrives.
    system.signal(4, "-KILL");
    let (code, answer) = system.status();
    assert_eq!(code, Some(1), "{answer}");
    let down: BTreeSet<&str> = answer["parts"]
        .as_array()
        .expect("parts")
        .iter()
        .filter(|part| part["up"] == false)
        .filter_map(|part| part["id"].as_str())
        .collect();
    assert_eq!(down, BTreeSet::from(["server-3"]));
    let asked = balancer
        .post("/api/purchases", &purchase, Some(&token))
        .await;
    assert_eq!(asked.expect("an answer").0, 201);
    let mut socket = socket_at(&system.server_url(2), &token).await;
    assert_eq!(
        event(&mut socket, "notification:new").await["type"],
        "purchase"
    );
    system.restart(4);

    let events = sound_reel(&system.stop());
    let seen: BTreeSet<u16> = events.iter().map(|event| event.component.0).collect();
    for place in flowreel_live_backend::telemetry::Place::SERVERS {
        assert!(seen.contains(&place.component().0), "{}", place.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_restarted_one_after_the_other_and_no_request_fails() {
    let Some(mut system) = System::start(&[]).await else {
        return;
    };
    let balancer = system.balancer();
    sign_up(&balancer, "ada").await;
    let token = log_in(&balancer, "ada").await;
    let is_over = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut load = tokio::task::JoinSet::new();
    {
        let (http, token, is_over) = (system.balancer(), token, is_over.clone());
        load.spawn(async move {
            let purchase = json!({"item": "Lantern", "amount": 1.5, "currency": "EUR"});
            let mut count = 0;
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let (status, answer) = http
                    .post("/api/purchases", &purchase, Some(&token))
                    .await
                    .expect("an answer");
                assert_eq!(status, 201, "{answer}");
                count += 1;
            }
            count
        });
    }
    for (at, role) in ROLES.iter().enumerate().skip(2).take(3) {
        let stopping = tokio::task::block_in_place(|| system.signal(at, "-TERM"));
        assert!(stopping, "{role:?} ended badly");
        tokio::task::block_in_place(|| system.restart(at));
        let http = Http::new(&system.server_url(u16::try_from(at - 1).expect("small")));
        until("the restarted server to answer", async || {
            let (status, _) = http.get("/api/health", None).await.ok()?;
            (status == 200).then_some(())
        })
        .await;
    }
    is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    let count = load.join_next().await.expect("it was spawned");
    let count = count.expect("no request failed");
    assert!(count > 10, "{count} requests");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_server_shows_who_listens_at_all_of_them() {
    let Some(mut system) = System::start(&[]).await else {
        return;
    };
    let urls = [1, 2, 3].map(|index| system.server_url(index));
    let first = Http::new(&urls[0]);
    let mut sockets = Vec::new();
    for (name, at) in [("ada", 0), ("ada", 2), ("eve", 2)] {
        if sockets.len() != 1 {
            sign_up(&first, name).await;
        }
        let token = log_in(&first, name).await;
        sockets.push(socket_at(&urls[at], &token).await);
    }
    let token = system.admin_token().to_owned();
    let shown = async |at: usize| {
        let http = Http::new(&urls[at]);
        let (status, answer) = http.get("/api/live-view/status", Some(&token)).await.ok()?;
        assert_eq!(status, 200, "{answer}");
        let online = answer["onlineUsers"].as_array().expect("a list");
        let online = online.iter().map(|user| user["sockets"].clone()).collect();
        let by_server = answer["websocket"]["byServer"].clone();
        Some((by_server, Value::Array(online)))
    };
    let all = (
        json!({"server-1": 1, "server-2": 0, "server-3": 2}),
        json!([2, 1]),
    );
    for at in 0..3 {
        until("all listeners to be shown", async || {
            (shown(at).await? == all).then_some(())
        })
        .await;
    }
    // A server that was killed has no listeners; the others learn it by its silence.
    tokio::task::block_in_place(|| system.signal(4, "-KILL"));
    until("the killed server's listeners to be gone", async || {
        let (by_server, online) = shown(1).await?;
        let left = (
            json!({"server-1": 1, "server-2": 0, "server-3": 0}),
            json!([1]),
        );
        ((by_server, online) == left).then_some(())
    })
    .await;
}
