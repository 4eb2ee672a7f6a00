//! A running `flowreel-live` of one test alone: started on free ports, in its own folder, ended with it.
//!
//! Belongs here: starting, stopping, waiting with a deadline, reading mails and reels. Does not belong
//! here: what a test claims.

use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::recording::{ReelReader, RunSource, verify};
use flowreel_live_backend::load::{Http, Socket, SocketEvent};
use serde_json::{Value, json};
use std::future::Future;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// Longest wait for anything; a loaded machine is slow, a broken program is slower.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at that nothing announces.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

static FOLDER_COUNT: AtomicU32 = AtomicU32::new(0);

/// A folder of one test alone, removed at its end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let number = FOLDER_COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("live-{}-{number}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("the target folder can be written");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A failed test leaves its folder for whoever looks into it.
        if !std::thread::panicking() {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }
}

/// A running backend.
pub(crate) struct Backend {
    pub(crate) http: Http,
    pub(crate) admin_token: String,
    ready: Value,
    process_id: u32,
    ended: Receiver<ExitStatus>,
    is_running: bool,
    log: PathBuf,
}

impl Backend {
    /// Starts everything on free ports with data and recordings in `folder`.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        Self::start_with(folder, arguments, &[])
    }

    /// The same with further environment variables.
    pub(crate) fn start_with(
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let arguments = [&["--port-base", "0"], arguments].concat();
        Self::start_where_set(folder, &arguments, environment)
    }

    /// The same on the ports that the settings name.
    pub(crate) fn start_where_set(
        folder: &Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let log = folder.join("log.txt");
        let stderr = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .expect("the folder can be written");
        let mut child = command(folder)
            .arg("--print-ready")
            .args(arguments)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the program was built with this test");
        let process_id = child.id();
        let stdout = child.stdout.take().expect("it is piped");
        let (line_in, line_out) = sync_channel(1);
        let (status_in, ended) = sync_channel(1);
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            if let Some(Ok(line)) = lines.next() {
                line_in.send(line).expect("the test waits for it");
            }
            drop(line_in);
            // Nothing else may be printed there.
            assert!(lines.next().is_none(), "a second line on standard output");
            let status = child.wait().expect("it was started here");
            // The test may have ended without waiting.
            status_in.send(status).unwrap_or(());
        });
        let line = line_out.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            panic!("no ready line; the log says:\n{log}")
        });
        let ready: Value = serde_json::from_str(&line).expect("the ready line is JSON");
        assert_eq!(ready["ready"], true);
        let url = ready["urls"]["balancer"].as_str().expect("it has a URL");
        Self {
            http: Http::new(url),
            admin_token: ready["admin_token"].as_str().expect("a token").to_owned(),
            process_id,
            ended,
            is_running: true,
            log,
            ready,
        }
    }

    /// What the ready line says.
    pub(crate) fn ready(&self) -> &Value {
        &self.ready
    }

    /// Signs up and logs in; the answer is the login's.
    pub(crate) async fn user(&self, name: &str) -> Value {
        let email = format!("{name}@people.example");
        let body = json!({"username": name, "email": email, "password": "correct horse 1"});
        let (status, answer) = self.post("/api/signups", &body, None).await;
        assert_eq!(status, 201, "{answer}");
        assert!(
            answer["userId"].is_string() && answer["requestId"].is_string(),
            "{answer}"
        );
        self.log_in(name).await
    }

    /// Signs up and opens a session, which nobody is told about: the user has no in-app notification.
    pub(crate) async fn quiet_user(&self, name: &str) -> Value {
        let email = format!("{name}@people.example");
        let body = json!({"username": name, "email": email, "password": "correct horse 1"});
        let (status, answer) = self.post("/api/signups", &body, None).await;
        assert_eq!(status, 201, "{answer}");
        let body = json!({"email": email, "password": "correct horse 1"});
        let (status, answer) = self.post("/api/session", &body, None).await;
        assert_eq!(status, 201, "{answer}");
        answer
    }

    /// Buys something as the user of that session; the answer is the request's id.
    pub(crate) async fn buy(&self, session: &Value) -> String {
        let body = json!({"item": "Blue lantern", "amount": 12.5, "currency": "EUR"});
        let token = session["sessionToken"].as_str();
        let (status, answer) = self.post("/api/purchases", &body, token).await;
        assert_eq!(status, 201, "{answer}");
        answer["requestId"].as_str().expect("an id").to_owned()
    }

    /// The in-app notifications of the user of that session, newest first.
    pub(crate) async fn notifications_of(&self, session: &Value) -> Vec<Value> {
        let path = format!(
            "/api/notifications/{}",
            session["userId"].as_str().expect("an id")
        );
        let (status, answer) = self.get(&path, session["sessionToken"].as_str()).await;
        assert_eq!(status, 200, "{answer}");
        answer["notifications"].as_array().expect("a list").clone()
    }

    /// What an administrator reads there.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let (status, answer) = self.get(path, Some(&self.admin_token)).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// What an administrator does there.
    pub(crate) async fn act(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body, Some(&self.admin_token)).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    /// Waits until the queue has this figure.
    pub(crate) async fn queue_has(&self, queue: &str, figure: &str, number: u64) {
        let path = format!("/api/queues/{queue}");
        until(&format!("{figure} of {queue} to be {number}"), async || {
            (self.read(&path).await[figure] == number).then_some(())
        })
        .await;
    }

    pub(crate) async fn log_in(&self, name: &str) -> Value {
        let email = format!("{name}@people.example");
        let body = json!({"email": email, "password": "correct horse 1"});
        let (status, answer) = self.post("/api/logins", &body, None).await;
        assert_eq!(status, 200, "{answer}");
        for key in ["userId", "sessionToken", "refreshToken", "requestId"] {
            assert!(answer[key].is_string(), "{key} in {answer}");
        }
        answer
    }

    pub(crate) async fn post(&self, path: &str, body: &Value, token: Option<&str>) -> (u16, Value) {
        self.http.post(path, body, token).await.expect("an answer")
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> (u16, Value) {
        self.http.get(path, token).await.expect("an answer")
    }

    /// The live view's status.
    pub(crate) async fn status(&self) -> Value {
        let token = Some(self.admin_token.as_str());
        let answer = self.http.get("/api/live-view/status", token).await;
        let (status, body) = answer.expect("an answer");
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The journey of a request.
    pub(crate) async fn journey(&self, request_id: &str) -> Value {
        let token = Some(self.admin_token.as_str());
        let path = format!("/api/live-view/requests/{request_id}");
        let (status, body) = self.http.get(&path, token).await.expect("an answer");
        assert_eq!(status, 200, "{body}");
        body
    }

    /// A user who has been told nothing yet, and a client of theirs.
    pub(crate) async fn quiet_client(&self, name: &str) -> (Value, Socket) {
        let session = self.quiet_user(name).await;
        let socket = self.socket_of(&session).await;
        (session, socket)
    }

    /// A client of the user of that session.
    pub(crate) async fn socket_of(&self, session: &Value) -> Socket {
        let token = session["sessionToken"].as_str().expect("a token");
        self.socket(token).await
    }

    /// A client that has proved it is the user of `token`.
    pub(crate) async fn socket(&self, token: &str) -> Socket {
        let mut socket = Socket::connect(self.http.base(), "/")
            .await
            .expect("a socket");
        let success = socket.authenticate(token).await.expect("auth:success");
        assert!(
            success["userId"].is_string() && success["socketId"].is_string(),
            "{success}"
        );
        socket
    }

    /// Mails the embedded sink has taken, by their number.
    pub(crate) fn mails(&self) -> Vec<String> {
        let data = self.ready["data"].as_str().expect("a folder");
        mails_in(Path::new(data))
    }

    /// The number by which the system knows it.
    pub(crate) const fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Asks it to stop and waits until it has; the answer is its reel.
    pub(crate) fn stop(&mut self) -> PathBuf {
        self.signal("-TERM");
        let status = self.await_end();
        assert!(status.success(), "{status}; the log says:\n{}", self.log());
        PathBuf::from(self.ready["reel"].as_str().expect("a recording was on"))
    }

    /// Asks it to stop where it cannot do so in good order; the answer is its exit code.
    pub(crate) fn stop_badly(&mut self) -> Option<i32> {
        self.signal("-TERM");
        self.await_end().code()
    }

    /// Gives it no time until it is resumed; none of its threads runs any more.
    pub(crate) async fn suspend(&self) {
        self.signal("-STOP");
        until("every thread to be stopped", async || {
            self.is_stopped().then_some(())
        })
        .await;
    }

    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process_id));
        // A thread may end meanwhile; its name stands in brackets and may hold anything.
        let state = |thread: std::io::Result<std::fs::DirEntry>| {
            let stat = std::fs::read_to_string(thread.ok()?.path().join("stat")).ok()?;
            stat.rsplit_once(") ")?.1.chars().next()
        };
        let mut states = threads.expect("it runs on Linux").filter_map(state);
        states.all(|state| state == 'T')
    }

    /// Undoes [`Backend::suspend`].
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        self.signal("-KILL");
        self.await_end();
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn signal(&self, signal: &str) {
        let id = self.process_id.to_string();
        let sent = Command::new("kill").args([signal, &id]).status();
        assert!(sent.expect("`kill` exists").success());
    }

    fn await_end(&mut self) -> ExitStatus {
        let status = self.ended.recv_timeout(PATIENCE);
        let status = status.unwrap_or_else(|_| panic!("it does not end:\n{}", self.log()));
        self.is_running = false;
        status
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if self.is_running {
            let id = self.process_id.to_string();
            drop(Command::new("kill").args(["-KILL", &id]).status());
        }
        if std::thread::panicking() {
            let mut out = std::io::stderr().lock();
            drop(writeln!(out, "the backend's log:\n{}", self.log()));
        }
    }
}

/// Exit code and words of a program that must not start.
pub(crate) fn refused(command: &mut Command) -> (Option<i32>, String) {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built with this test");
    let (output_in, output) = sync_channel(1);
    std::thread::spawn(move || drop(output_in.send(child.wait_with_output())));
    let output = output.recv_timeout(PATIENCE).expect("it ends");
    let output = output.expect("it was started here");
    assert!(output.stdout.is_empty(), "it prints no ready line");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

/// The program with its data and recordings in `folder`, its environment swept.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowreel-live"));
    command
        .current_dir(folder)
        .env_clear()
        .env("RUST_LOG", "info")
        .env("FLOWREEL_RECORD", folder.join("recordings"))
        .arg("--data")
        .arg(folder.join("data"));
    command
}

/// Looks until it is there, or fails with what was waited for.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let mut ticks = tokio::time::interval(LOOK_INTERVAL);
    let looking = async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Waits for the event of that name.
pub(crate) async fn event(socket: &mut Socket, name: &str) -> Value {
    let waiting = async {
        loop {
            let SocketEvent { name: found, data } = socket.next_event().await.expect("a socket");
            if found == name {
                return data;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, waiting).await;
    found.unwrap_or_else(|_| panic!("waited in vain for {name}"))
}

/// Waits for the next notification, checks its fields, and confirms it.
pub(crate) async fn notification(socket: &mut Socket) -> Value {
    let news = event(socket, "notification:new").await;
    for key in ["id", "type", "title", "message", "priority"] {
        assert!(news[key].is_string(), "{key} in {news}");
    }
    for key in ["createdAt", "expiresAt"] {
        assert!(!news[key].is_null(), "{key} in {news}");
    }
    let id = json!({"id": news["id"]});
    socket
        .emit("notification:ack", &id)
        .await
        .expect("a socket");
    news
}

pub(crate) fn mails_in(data: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(data.join("mail")) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_mail = path.extension().is_some_and(|extension| extension == "eml");
            is_mail.then(|| std::fs::read_to_string(path).ok())?
        })
        .collect()
}

/// Checks a whole live reel as `flowreel verify` and `flowreel info` do, and gives its events.
pub(crate) fn sound_reel(path: &Path) -> Vec<StageEvent> {
    let mut reel = ReelReader::open(path).expect("a reel");
    assert_eq!(reel.meta().source, RunSource::Live);
    assert!(reel.is_complete(), "it has its end");
    let summary = reel.summary().expect("totals at its end");
    assert_eq!(summary.dropped, Some(0));
    assert!(reel.gaps().is_empty(), "{:?}", reel.gaps());
    let verification = verify(&reel).expect("a readable reel");
    assert!(verification.holds(), "{:?}", verification.problems);
    let mut state = SystemState::new(reel.topology());
    let (mut all, mut block) = (Vec::new(), Vec::new());
    for position in 0..reel.event_blocks().len() {
        assert!(reel.read_events(position, &mut block).expect("readable"));
        block.iter().for_each(|event| state.apply(event));
        all.extend_from_slice(&block);
    }
    assert_eq!(state.anomalies().total(), 0, "{:?}", state.anomalies());
    all
}

/// How often a kind occurs.
pub(crate) fn count(events: &[StageEvent], kind: EventKind) -> usize {
    events.iter().filter(|event| event.kind == kind).count()
}
