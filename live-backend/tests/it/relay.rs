//! Mail through relays of others: npm's `smtp-server` with TLS and login, and relays that refuse, delay or stall.
//!
//! Belongs here: what a relay does and what becomes of the mail. Does not belong here: the embedded sink.

use crate::harness::{Backend, Folder, until};
use crate::npm;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Prints its port, then one JSON line a mail; what it does with the n-th run of a mail is told by `plan`.
const SERVER: &str = r#"
const fs = require("fs");
const { SMTPServer } = require("smtp-server");
const [folder, mode, plan] = process.argv.slice(2);
const read = (name) => fs.readFileSync(folder + "/" + name);
const refuse = (code, text) => Object.assign(new Error(text), { responseCode: code });
const steps = plan === "" ? [] : plan.split(",");
let run = 0;
const server = new SMTPServer({
  secure: mode === "tls",
  disabledCommands: mode === "plain" ? ["STARTTLS", "AUTH"] : [],
  authOptional: mode === "plain",
  key: mode === "plain" ? undefined : read("relay.key"),
  cert: mode === "plain" ? undefined : read("relay.pem"),
  logger: false,
  onAuth: (auth, session, done) => {
    const isRight = auth.username === "ada" && auth.password === "open sesame";
    if (!session.secure) return done(refuse(538, "encrypt first"));
    return isRight ? done(null, { user: "ada" }) : done(refuse(535, "wrong password"));
  },
  onRcptTo: (address, session, done) => {
    const step = steps[run] ?? "ok";
    run += 1;
    if (step === "stall") return;
      if (step === "cut") return server.connections.forEach((it) => it._socket.destroy());
    return step === "ok" ? done() : done(refuse(Number(step), "not this time"));
  },
  onData: (stream, session, done) => {
    const chunks = [];
    stream.on("data", (chunk) => chunks.push(chunk));
    stream.on("end", () => {
      const to = session.envelope.rcptTo.map((it) => it.address);
      const text = Buffer.concat(chunks).toString();
      console.log(JSON.stringify({ to, from: session.envelope.mailFrom.address, secure: session.secure, text, run }));
      done(null, "kept by the other relay");
    });
  },
});
server.on("error", () => {});
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.server.address().port })));
process.stdin.on("end", () => process.exit(0)).resume();
"#;

/// A running relay; it ends when this is dropped.
struct Relay {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u64,
}

impl Relay {
    fn start(modules: &Path, folder: &Path, mode: &str, plan: &str) -> Self {
        let script = folder.join("relay.js");
        std::fs::write(&script, SERVER).expect("the folder can be written");
        let mut child = Command::new("node")
            .env("NODE_PATH", modules.join("node_modules"))
            .arg(&script)
            .arg(folder)
            .args([mode, plan])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node was found before");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let first = lines.next().expect("it prints its port").expect("UTF-8");
        let first: Value = serde_json::from_str(&first).expect("JSON");
        Self {
            child,
            lines,
            port: first["port"].as_u64().expect("a port"),
        }
    }

    /// Waits for the next mail it took.
    async fn mail(self) -> (Self, Value) {
        let read = tokio::task::spawn_blocking(move || {
            let mut relay = self;
            let line = relay.lines.next().expect("it runs").expect("UTF-8");
            let mail = serde_json::from_str(&line).expect("JSON");
            (relay, mail)
        });
        tokio::time::timeout(crate::harness::PATIENCE, read)
            .await
            .expect("a mail comes")
            .expect("no panic")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Its standard input closes, and it ends by itself; killing makes sure.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A certificate for 127.0.0.1 and localhost, signed by itself.
pub(crate) fn certificate(folder: &Path) {
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
        ])
        .args(["-subj", "/CN=relay.test"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join("relay.key"))
        .arg("-out")
        .arg(folder.join("relay.pem"))
        .stderr(Stdio::null())
        .status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "openssl makes a certificate; install openssl"
    );
}

async fn sign_up(backend: &Backend, name: &str) -> Value {
    let email = format!("{name}@people.example");
    let body = json!({"username": name, "email": email, "password": "correct horse 1"});
    let (status, answer) = backend.post("/api/signups", &body, None).await;
    assert_eq!(status, 201, "{answer}");
    answer
}

async fn welcome_row(backend: &Backend, signup: &Value) -> Value {
    let id = signup["userId"].as_str().expect("an id");
    let path = format!("/api/signups/{id}/welcome-email-status");
    let (code, answer) = backend.get(&path, Some(&backend.admin_token)).await;
    assert_eq!(code, 200, "{answer}");
    answer
}

/// The welcome mail's row once it has this status.
async fn welcome(backend: &Backend, signup: &Value, wanted: &str) -> Value {
    until(&format!("a welcome that is {wanted}"), async || {
        let row = welcome_row(backend, signup).await;
        (row["status"] == wanted).then_some(row)
    })
    .await
}

#[tokio::test]
async fn mail_goes_by_tls_and_login_to_the_relay_that_is_set() {
    let Some(modules) = npm::packages(&["smtp-server@3"]) else {
        return;
    };
    for (mode, scheme) in [("starttls", "smtp+starttls"), ("tls", "smtps")] {
        let folder = Folder::new();
        certificate(folder.path());
        let mut relay = Relay::start(&modules, folder.path(), mode, "");
        let url = format!("{scheme}://ada:open%20sesame@localhost:{}", relay.port);
        let ca = folder.path().join("relay.pem");
        let environment = [("EMAIL_CA_FILE", ca.to_str().expect("a plain path"))];
        let backend = Backend::start_with(folder.path(), &["--smtp", &url], &environment);
        let signup = sign_up(&backend, "grace").await;
        let mail;
        (relay, mail) = relay.mail().await;
        assert_eq!(mail["secure"], true, "{mode}");
        assert_eq!(mail["to"], json!(["grace@people.example"]), "{mode}");
        let status = welcome(&backend, &signup, "delivered").await;
        let entries = status["deliveryHistory"].as_array().expect("a history");
        let last = entries.last().expect("entries");
        assert_eq!(last["code"], 250, "{status}");
        assert!(
            last["reason"]
                .as_str()
                .is_some_and(|reply| reply.contains("kept by the other relay")),
            "{status}"
        );
        drop(relay);
    }
}

#[tokio::test]
async fn a_stranger_s_certificate_or_a_wrong_password_keeps_the_mail_for_later() {
    let Some(modules) = npm::packages(&["smtp-server@3"]) else {
        return;
    };
    let folder = Folder::new();
    certificate(folder.path());
    let relay = Relay::start(&modules, folder.path(), "starttls", "");
    let ca = folder.path().join("relay.pem");
    let ca = ca.to_str().expect("a plain path");
    for (login, environment, code, named) in [
        ("ada:open%20sesame", vec![], Value::Null, "certificate"),
        (
            "ada:wrong",
            vec![("EMAIL_CA_FILE", ca)],
            json!(535),
            "wrong password",
        ),
    ] {
        let own = Folder::new();
        let url = format!("smtp+starttls://{login}@localhost:{}", relay.port);
        let backend = Backend::start_with(own.path(), &["--smtp", &url], &environment);
        let signup = sign_up(&backend, "grace").await;
        let failed = until("a failed run", async || {
            let status = welcome_row(&backend, &signup).await;
            let entries = status["deliveryHistory"].as_array()?;
            entries
                .iter()
                .find(|entry| entry["status"] == "failed")
                .cloned()
        })
        .await;
        assert_eq!(failed["code"], code, "{failed}");
        let reason = failed["reason"].as_str().expect("a reason");
        assert!(reason.contains(named), "{reason}");
        assert!(!backend.log().contains("wrong@") && !backend.log().contains("sesame"));
    }
}

#[tokio::test]
async fn a_relay_that_delays_stalls_or_breaks_off_gets_the_mail_again_and_one_that_refuses_does_not()
 {
    let Some(modules) = npm::packages(&["smtp-server@3"]) else {
        return;
    };
    // 300 s and 1,800 s become a fraction of a second each.
    let scaled = ["--retry-scale", "3000"];
    for (plan, wanted, attempts) in [
        ("451", "delivered", 2),
        ("421,450", "delivered", 3),
        ("stall", "delivered", 2),
        ("cut", "delivered", 2),
        ("550", "failed", 1),
        ("451,451,451", "failed", 3),
    ] {
        let folder = Folder::new();
        let relay = Relay::start(&modules, folder.path(), "plain", plan);
        let url = format!("smtp://127.0.0.1:{}", relay.port);
        let arguments = [&["--smtp", url.as_str()], &scaled[..]].concat();
        let backend = Backend::start_with(folder.path(), &arguments, &[("EMAIL_TIMEOUT", "1500")]);
        let signup = sign_up(&backend, "grace").await;
        let status = welcome(&backend, &signup, wanted).await;
        assert_eq!(status["attempts"], attempts, "{plan}: {status}");
        if wanted == "delivered" {
            let (_relay, mail) = relay.mail().await;
            assert_eq!(mail["run"], attempts, "{plan}");
            let text = mail["text"].as_str().expect("a text");
            let id = status["messageId"].as_str().expect("an id");
            assert!(text.contains(id), "{plan}: {text}");
        }
    }
}
