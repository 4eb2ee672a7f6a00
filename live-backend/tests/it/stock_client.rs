//! The stock JavaScript client, version 4.8 from npm, against the backend: nothing of ours in between.
//!
//! Where npm is absent, or its registry cannot be reached, this is said and the test checks nothing.

use crate::harness::{Backend, Folder, PATIENCE};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;

const VERSION: &str = "4.8";
const SCRIPT: &str = r#"
const { io } = require("socket.io-client");
const [base, token, email, password, transport] = process.argv.slice(2);
const fail = (what) => { console.error(what); process.exit(1); };
setTimeout(() => fail("nothing for 50 s"), 50000);
const socket = io(base, { transports: [transport], withCredentials: true });
socket.on("connect_error", (error) => fail("connect_error " + error.message));
socket.on("auth:error", (error) => fail("auth:error " + JSON.stringify(error)));
socket.on("connect", () => socket.emit("authenticate", { token }));
let heard = 0;
socket.on("auth:success", (data) => {
  if (typeof data.userId !== "string" || data.socketId === undefined) fail(JSON.stringify(data));
});
socket.on("notification:new", async (news) => {
  for (const key of ["id", "type", "title", "message", "priority", "createdAt", "expiresAt"])
    if (news[key] === undefined || news[key] === null) fail(key + " in " + JSON.stringify(news));
  socket.emit("notification:ack", { id: news.id });
  heard += 1;
  if (heard === 1) {
    const answer = await fetch(base + "/api/logins", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password }),
    });
    if (answer.status !== 200) fail("login " + answer.status);
  } else {
    console.log(JSON.stringify({ heard, type: news.type }));
    socket.disconnect();
    process.exit(0);
  }
});
"#;

#[tokio::test]
async fn the_stock_client_authenticates_and_hears_of_a_login() {
    let Some(modules) = client_folder() else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    for transport in ["websocket", "polling"] {
        let name = format!("ada-{transport}");
        let session = backend.user(&name).await;
        let script = modules.join("client.js");
        std::fs::write(&script, SCRIPT).expect("the target folder can be written");
        let child = Command::new("node")
            .arg(&script)
            .arg(backend.http.base())
            .arg(session["sessionToken"].as_str().expect("a token"))
            .args([
                &format!("{name}@people.example"),
                "correct horse 1",
                transport,
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("node was found before");
        let (output_in, output) = sync_channel(1);
        std::thread::spawn(move || drop(output_in.send(child.wait_with_output())));
        let output = tokio::task::spawn_blocking(move || output.recv_timeout(PATIENCE));
        let output = output
            .await
            .expect("no panic")
            .expect("the script has a deadline");
        let output = output.expect("it was started here");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{transport}: {said}");
        let line = String::from_utf8_lossy(&output.stdout);
        assert!(line.contains(r#""type":"login""#), "{transport}: {line}");
    }
}

/// A folder where the client is installed; `None`, and a line that says why, where it cannot be had.
fn client_folder() -> Option<PathBuf> {
    for program in ["node", "npm"] {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            skip(&format!(
                "`{program}` is not installed; install Node.js 18 or later"
            ));
            return None;
        }
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("socket.io-client-{VERSION}"));
    if folder
        .join("node_modules/socket.io-client/package.json")
        .is_file()
    {
        return Some(folder);
    }
    std::fs::create_dir_all(&folder).expect("the target folder can be written");
    let installed = Command::new("npm")
        .args([
            "install",
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--prefix",
        ])
        .arg(&folder)
        .arg(format!("socket.io-client@{VERSION}"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .expect("npm was found before");
    if installed.status.success() {
        return Some(folder);
    }
    skip(&format!(
        "npm cannot install socket.io-client {VERSION}: {}",
        String::from_utf8_lossy(&installed.stderr).trim()
    ));
    None
}

// Written past the test harness, which would hide it.
fn skip(reason: &str) {
    let mut out = std::io::stderr().lock();
    drop(writeln!(
        out,
        "SKIPPED the stock Socket.IO client: {reason}"
    ));
}
