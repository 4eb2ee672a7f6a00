//! A real mongod of one test alone: on a free port, in its own folder, ended and removed with it.
//!
//! Belongs here: finding, starting and ending it. Does not belong here: what a test claims.
//!
//! Where it is absent the test says so and checks nothing, unless `FLOWREEL_SERVICES=required`.

use super::MongoAddress;
use mongodb::Client;
use mongodb::bson::doc;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

pub(in crate::store) struct Server {
    program: PathBuf,
    arguments: &'static [&'static str],
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

impl Server {
    /// A replica set of one; `None` where there is no mongod on this machine.
    pub(in crate::store) async fn start() -> Option<Self> {
        let mut server = Self::found(&["--replSet", "rs0"])?;
        server.spawn();
        let members = vec![doc! { "_id": 0, "host": format!("127.0.0.1:{}", server.port) }];
        let set = doc! { "replSetInitiate": { "_id": "rs0", "members": members } };
        server.until("take its set", "ok", set).await;
        server.is_primary().await;
        Some(server)
    }

    /// A single server, which has no transactions.
    pub(super) async fn start_alone() -> Option<Self> {
        let mut server = Self::found(&[])?;
        server.spawn();
        server.is_primary().await;
        Some(server)
    }

    fn found(arguments: &'static [&'static str]) -> Option<Self> {
        let Some(program) = program() else {
            let required = variable("FLOWREEL_SERVICES").is_some_and(|value| value == "required");
            assert!(
                !required,
                "FLOWREEL_SERVICES=required, but there is no mongod"
            );
            let mut out = std::io::stderr().lock();
            drop(writeln!(
                out,
                "skipped: mongod is not installed; cargo xtask services up mongod obtains it"
            ));
            return None;
        };
        let name = format!("flowreel-mongod-{}", crate::security::random_hex::<8>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Some(Self {
            program,
            arguments,
            folder,
            port: listener.local_addr().unwrap().port(),
            child: None,
        })
    }

    pub(in crate::store) fn address(&self, database: &str) -> MongoAddress {
        MongoAddress::parse(&format!("mongodb://127.0.0.1:{}/{database}", self.port)).unwrap()
    }

    /// A client that knows nothing of the store.
    pub(super) async fn client(&self) -> Client {
        let address = format!("mongodb://127.0.0.1:{}/?directConnection=true", self.port);
        Client::with_uri_str(address).await.unwrap()
    }

    /// Ends it without a warning.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again on its port and data.
    pub(super) async fn restart(&mut self) {
        self.spawn();
        self.is_primary().await;
    }

    /// Lets it stand still, or go on: connections stay, nothing is answered.
    pub(super) fn signal(&self, signal: &str) {
        let child = self.child.as_ref().unwrap();
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    fn spawn(&mut self) {
        let child = Command::new(&self.program)
            .args(self.arguments)
            .args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet"])
            .args(["--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(["--port", &self.port.to_string(), "--dbpath"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
    }

    async fn is_primary(&self) {
        self.until("be primary", "isWritablePrimary", doc! { "hello": 1 })
            .await;
    }

    /// Asks until the answer has `field`, or affirms it.
    async fn until(&self, what: &str, field: &str, ask: mongodb::bson::Document) {
        let address = format!(
            "mongodb://127.0.0.1:{}/?directConnection=true&serverSelectionTimeoutMS=1000",
            self.port
        );
        let client = Client::with_uri_str(address).await.unwrap();
        let asking = async {
            let mut look = tokio::time::interval(Duration::from_millis(20));
            loop {
                look.tick().await;
                if let Ok(answer) = client.database("admin").run_command(ask.clone()).await
                    && (answer.get_bool(field).unwrap_or(false) || answer.get_f64(field).is_ok())
                {
                    return;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, asking).await;
        assert!(waited.is_ok(), "mongod did not {what} in time");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

fn program() -> Option<PathBuf> {
    if let Some(told) = variable("MONGOD") {
        return Some(PathBuf::from(told));
    }
    let cache = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")));
    let cached = cache.map(|cache| cache.join("flowreel/services/mongod"));
    let on_path = variable("PATH").unwrap_or_default();
    cached
        .into_iter()
        .chain(std::env::split_paths(&on_path).map(|folder| folder.join("mongod")))
        .find(|path| path.is_file())
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the services of tests are is told by the environment"
)]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
