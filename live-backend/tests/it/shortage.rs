//! A balancer that has no connection left to give: it says so, and thinks no worse of its servers.

use crate::harness::{Folder, PATIENCE, until};
use crate::raw::Raw;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Handles the balancer may have.
const HANDLES: usize = 96;

/// Answers every request well.
async fn serve(listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        connections.spawn(async move {
            let mut read = Vec::new();
            while stream
                .read_buf(&mut read)
                .await
                .is_ok_and(|count| count > 0)
            {
                if read.ends_with(b"\r\n\r\n") {
                    read.clear();
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    drop(stream.write_all(answer).await);
                }
            }
        });
    }
}

/// The balancer alone, killed when dropped.
struct Balancer {
    child: Child,
    url: String,
}

impl Balancer {
    fn start(folder: &Path, ports: [u16; 3]) -> Self {
        let log = std::fs::File::create(folder.join("log.txt")).expect("a file");
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg(format!("ulimit -n {HANDLES}; exec \"$0\" \"$@\""))
            .arg(env!("CARGO_BIN_EXE_flowreel-live"))
            .args(["balancer", "--print-ready", "--record", "off", "--data"])
            .arg(folder.join("data"))
            .env_clear()
            .env("LOAD_BALANCER_PORT", "0");
        for (number, port) in (1..).zip(ports) {
            command.env(format!("SERVER{number}_PORT"), port.to_string());
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("there is a shell");
        let stdout = child.stdout.take().expect("it is piped");
        let (line_in, line_out) = sync_channel(1);
        std::thread::spawn(move || drop(line_in.send(BufReader::new(stdout).lines().next())));
        let line = line_out.recv_timeout(PATIENCE).expect("a ready line");
        let line = line.expect("a ready line").expect("text");
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        let url = ready["urls"]["balancer"]
            .as_str()
            .expect("a URL")
            .to_owned();
        Self { child, url }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_without_handles_says_that_it_is_busy_and_blames_no_server() {
    let folder = Folder::new();
    let (mut ports, mut servers) = ([0; 3], JoinSet::new());
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        *port = listener.local_addr().expect("it is bound").port();
        servers.spawn(serve(listener));
    }
    let balancer = Balancer::start(folder.path(), ports);
    let log = || std::fs::read_to_string(folder.path().join("log.txt")).expect("a log");
    let ask = "GET /x HTTP/1.1\r\nhost: a\r\n\r\n";
    let mut early = Raw::connect(&balancer.url).await;
    let address = balancer.url.trim_start_matches("http://");
    let mut crowd = Vec::new();
    for _ in 0..2 * HANDLES {
        crowd.push(
            TcpStream::connect(address)
                .await
                .expect("the backlog has room"),
        );
    }
    // What was on its way then has ended a few tries later, and somebody of the crowd has its handle.
    until("every handle to be in use", async || {
        let refused = log()
            .matches("a connection was lost before it began")
            .count();
        (refused > 10).then_some(())
    })
    .await;
    early.send(ask).await;
    let head = early.head().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}\n{}", log());
    let rest = early.body(&head).await;
    assert!(rest.contains(r#""code":"busy""#), "{rest}");
    drop(crowd);
    until("a server to answer", async || {
        let mut late = Raw::connect(&balancer.url).await;
        late.send(ask).await;
        late.head().await.starts_with("HTTP/1.1 200 ").then_some(())
    })
    .await;
    assert!(!log().contains("health of server"), "{}", log());
}
