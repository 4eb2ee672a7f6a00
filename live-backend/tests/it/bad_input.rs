//! Bad input: one sentence, the right status or exit code, nothing lost, no panic.

use crate::harness::{Backend, Folder, PATIENCE, command};
use bytes::Bytes;
use flowreel_live_backend::load::{Socket, SocketError};
use hyper::Method;
use serde_json::{Value, json};
use std::process::Stdio;
use std::sync::mpsc::sync_channel;

async fn refused(backend: &Backend, path: &str, body: &str, token: Option<&str>) -> (u16, String) {
    let body = Bytes::from(body.to_owned());
    let answer = backend.http.send(Method::POST, path, body, token).await;
    let (status, answer) = answer.expect("an answer");
    let code = answer.pointer("/error/code").and_then(Value::as_str);
    let message = answer.pointer("/error/message").and_then(Value::as_str);
    assert!(
        message.is_some_and(|message| !message.is_empty()),
        "{path}: {answer}"
    );
    (
        status,
        code.unwrap_or_else(|| panic!("{path}: {answer}"))
            .to_owned(),
    )
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_with_a_reason() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let good =
        json!({"username": "ada", "email": "ada@people.example", "password": "correct horse 1"});
    let large = format!("{{\"username\":\"{}\"}}", "a".repeat(2 << 20));
    for (path, body, token, status) in [
        ("/api/signups", "{not json", None, 400),
        ("/api/signups", "", None, 400),
        ("/api/signups", "[1,2]", None, 400),
        ("/api/signups", "{}", None, 400),
        ("/api/signups", large.as_str(), None, 413),
        (
            "/api/logins",
            r#"{"email":"nobody@people.example","password":"wrong one 12"}"#,
            None,
            401,
        ),
        (
            "/api/purchases",
            r#"{"item":"x","amount":1,"currency":"EUR"}"#,
            None,
            401,
        ),
        (
            "/api/purchases",
            r#"{"item":"x","amount":1,"currency":"EUR"}"#,
            Some("eyJ.not.real"),
            401,
        ),
        ("/api/no-such-thing", "{}", None, 404),
    ] {
        let shown: String = body.chars().take(40).collect();
        let (found, code) = refused(&backend, path, body, token).await;
        assert_eq!(found, status, "{path} {shown} {code}");
    }
    let control = json!({"fault": {"target": "smtp", "kind": "down"}}).to_string();
    let (status, _code) = refused(&backend, "/api/live-view/control", &control, None).await;
    assert_eq!(status, 401, "control needs an administrator");
    let (status, _body) = backend.post("/api/signups", &good, None).await;
    assert_eq!(status, 201, "and it still works");
    crate::harness::sound_reel(&backend.stop());
}

#[tokio::test]
async fn a_socket_with_a_wrong_token_is_told_so() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let mut socket = Socket::connect(backend.http.base(), "/")
        .await
        .expect("a socket");
    let refusal = socket
        .authenticate("eyJ.not.real")
        .await
        .expect_err("a wrong token");
    assert!(matches!(refusal, SocketError::Refused { .. }), "{refusal}");
    assert_eq!(backend.ready()["record"], "off");
}

/// Runs to its end; exit code and what it said on standard error.
fn end_of(mut command: std::process::Command) -> (Option<i32>, String) {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program was built with this test");
    let id = child.id().to_string();
    let (output_in, output) = sync_channel(1);
    std::thread::spawn(move || drop(output_in.send(child.wait_with_output())));
    let output = output.recv_timeout(PATIENCE).unwrap_or_else(|_| {
        drop(
            std::process::Command::new("kill")
                .args(["-KILL", &id])
                .status(),
        );
        panic!("it does not end")
    });
    let output = output.expect("it was started here");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
    (output.status.code(), said)
}

#[test]
fn a_taken_port_ends_with_code_3_and_names_the_port() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = taken.local_addr().expect("it has one").port().to_string();
    let mut command = command(folder.path());
    command.args(["--port-base", &port]);
    let (code, said) = end_of(command);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains(&port), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "one sentence: {said}");
}

#[test]
fn settings_that_make_no_sense_end_with_code_2() {
    for arguments in [
        &["--retry-scale", "0"][..],
        &["--port-base", "99999"],
        &["--store", "carrier-pigeon"],
        &["--no-such-flag"],
        &["load", "--rate", "-1"],
        &["load", "--mix", "logout=1"],
        &["load", "--duration", "soon"],
        &["load", "--url", "ftp://127.0.0.1"],
    ] {
        let folder = Folder::new();
        let mut command = command(folder.path());
        command.args(arguments);
        let (code, said) = end_of(command);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(!said.trim().is_empty(), "{arguments:?}");
    }
}

#[test]
fn load_on_nobody_ends_with_code_3() {
    let folder = Folder::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = free.local_addr().expect("it has one").port();
    drop(free);
    let mut command = command(folder.path());
    command.args(["load", "--url", &format!("http://127.0.0.1:{port}")]);
    let (code, said) = end_of(command);
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("flowreel-live"),
        "it says what to start: {said}"
    );
}
