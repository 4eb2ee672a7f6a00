//! A real Redis or mongod of one test alone: on a free port, in its own folder, ended and removed with it.
//!
//! Belongs here: finding the programs, starting, stopping, killing and restarting them, their URLs.
//! Does not belong here: what a test claims.
//!
//! Where a program is absent the test says so and checks nothing, unless `FLOWREEL_SERVICES=required`
//! (`cargo xtask test` sets it, after installing). `cargo xtask services up` obtains both.

use crate::harness::{Folder, until};
use mongodb::bson::doc;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A Redis that keeps an append-only file.
pub(crate) struct Redis(Server);

/// A mongod as replica set of one.
pub(crate) struct Mongod(Server);

struct Server {
    command: Vec<String>,
    port: u16,
    child: Option<Child>,
    folder: Folder,
}

impl Redis {
    /// Starts one with these further arguments; `None` where there is none on this machine.
    pub(crate) async fn start_with(arguments: &[&str]) -> Option<Self> {
        let program = program("redis-server", "apt-get install redis-server")?;
        let folder = Folder::new();
        let port = free_port();
        let mut command = vec![program];
        let own = ["--bind 127.0.0.1", "--appendonly yes", "--loglevel notice"];
        command.extend(
            own.iter()
                .flat_map(|pair| pair.split(' '))
                .map(str::to_owned),
        );
        command.extend(["--save", "", "--port"].map(str::to_owned));
        command.extend([port.to_string(), "--dir".to_owned()]);
        command.push(folder.path().display().to_string());
        command.extend(arguments.iter().map(|&argument| argument.to_owned()));
        let mut server = Server {
            command,
            port,
            child: None,
            folder,
        };
        server.spawn();
        let redis = Self(server);
        redis.answers().await;
        Some(redis)
    }

    pub(crate) async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.0.port)
    }

    /// Ends it in good order; what it held is on disk.
    pub(crate) fn stop(&mut self) {
        self.0.signal("-TERM");
        self.0.await_end();
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again on its port and data.
    pub(crate) async fn restart(&mut self) {
        self.0.spawn();
        self.answers().await;
    }

    /// A connection of the test's own.
    pub(crate) async fn connection(&self) -> redis::aio::MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a URL");
        let connection = client.get_multiplexed_async_connection().await;
        connection.expect("it answers")
    }

    async fn answers(&self) {
        until("redis-server to answer", async || {
            // An answer that a password is missing is one.
            let mut stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, self.0.port))
                .await
                .ok()?;
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            stream.write_all(b"PING\r\n").await.ok()?;
            let mut first = [0];
            stream.read_exact(&mut first).await.ok()?;
            (first == *b"+" || first == *b"-").then_some(())
        })
        .await;
    }
}

impl Mongod {
    /// Starts one and makes it primary; `None` where there is none on this machine.
    pub(crate) async fn start() -> Option<Self> {
        let program = mongod_program()?;
        let folder = Folder::new();
        let port = free_port();
        let mut command = vec![program];
        let own = [
            "--bind_ip 127.0.0.1",
            "--replSet rs0",
            "--oplogSize 64",
            "--wiredTigerCacheSizeGB 0.25",
            "--setParameter diagnosticDataCollectionEnabled=false",
            "--nounixsocket",
        ];
        command.extend(
            own.iter()
                .flat_map(|pair| pair.split(' '))
                .map(str::to_owned),
        );
        command.extend(["--port".to_owned(), port.to_string(), "--dbpath".to_owned()]);
        command.push(folder.path().display().to_string());
        let mut server = Server {
            command,
            port,
            child: None,
            folder,
        };
        server.spawn();
        let mongod = Self(server);
        mongod.is_primary(true).await;
        Some(mongod)
    }

    /// With an own database per test where one server serves several.
    pub(crate) fn url(&self, database: &str) -> String {
        let port = self.0.port;
        format!("mongodb://127.0.0.1:{port}/{database}?replicaSet=rs0")
    }

    /// Ends it in good order.
    pub(crate) fn stop(&mut self) {
        self.0.signal("-TERM");
        self.0.await_end();
    }

    /// Ends it without a warning.
    pub(crate) fn kill(&mut self) {
        self.0.kill();
    }

    /// Starts it again on its port and data, and waits until it is primary.
    pub(crate) async fn restart(&mut self) {
        self.0.spawn();
        self.is_primary(false).await;
    }

    /// Starts it again, from now on with these further arguments.
    pub(crate) async fn restart_with(&mut self, arguments: &[&str]) {
        let further = arguments.iter().map(|&argument| argument.to_owned());
        self.0.command.extend(further);
        self.restart().await;
    }

    async fn is_primary(&self, is_new: bool) {
        let port = self.0.port;
        let direct = format!(
            "mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS=1000"
        );
        let client = mongodb::Client::with_uri_str(direct).await.expect("a URL");
        let admin = client.database("admin");
        if is_new {
            until("mongod to answer", async || {
                let host = format!("127.0.0.1:{port}");
                let members = vec![doc! {"_id": 0, "host": host}];
                let set = doc! {"_id": "rs0", "members": members};
                let asked = admin.run_command(doc! {"replSetInitiate": set}).await;
                asked.ok()
            })
            .await;
        }
        until("mongod to be primary", async || {
            let answer = admin.run_command(doc! {"hello": 1}).await.ok()?;
            let is_primary = answer.get_bool("isWritablePrimary").unwrap_or(false);
            is_primary.then_some(())
        })
        .await;
        client.shutdown().immediate(true).await;
    }
}

impl Server {
    fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("server.log"))
            .expect("the folder can be written");
        let (program, arguments) = self.command.split_first().expect("a program");
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("it was found before"));
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("it runs");
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(sent.expect("`kill` exists").success());
    }

    fn await_end(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.wait().expect("it was started here");
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            child.wait().expect("it was started here");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// A port that nobody uses at this moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Says that a test checks nothing here; a failure where the service must be there.
pub(crate) fn skip(reason: &str) {
    let required = variable("FLOWREEL_SERVICES").is_some_and(|value| value == "required");
    assert!(!required, "FLOWREEL_SERVICES=required, but {reason}");
    let mut out = std::io::stderr().lock();
    drop(writeln!(out, "skipped: {reason}"));
}

pub(crate) fn program(name: &str, advice: &str) -> Option<String> {
    let folders = std::env::split_paths(&variable("PATH").unwrap_or_default()).collect::<Vec<_>>();
    let found = folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed; {advice}"));
    }
    found.map(|path| path.display().to_string())
}

fn mongod_program() -> Option<String> {
    if let Some(told) = variable("MONGOD") {
        return Some(PathBuf::from(told).display().to_string());
    }
    let cache = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
    let cached = cache.map(|cache| cache.join("flowreel/services/mongod"));
    if let Some(cached) = cached.filter(|cached| cached.is_file()) {
        return Some(cached.display().to_string());
    }
    program("mongod", "cargo xtask services up mongod obtains it")
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the services of tests are is told by the environment"
)]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[tokio::test]
async fn redis_keeps_its_keys_over_a_restart() {
    let Some(mut server) = Redis::start().await else {
        return;
    };
    let mut connection = server.connection().await;
    let set: String = redis::cmd("SET")
        .arg("a")
        .arg("1")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(set, "OK");
    server.stop();
    server.restart().await;
    let mut connection = server.connection().await;
    let kept: String = redis::cmd("GET")
        .arg("a")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(kept, "1");
    server.kill();
}

#[tokio::test]
async fn mongod_keeps_its_documents_over_a_kill() {
    let Some(mut server) = Mongod::start().await else {
        return;
    };
    let client = mongodb::Client::with_uri_str(server.url("kept"))
        .await
        .unwrap();
    let found = client.database("kept").collection("a");
    found.insert_one(doc! {"_id": 1}).await.unwrap();
    server.kill();
    server.restart().await;
    assert_eq!(found.count_documents(doc! {}).await.unwrap(), 1);
    server.stop();
}
