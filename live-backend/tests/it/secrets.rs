//! Secrets at the start: one that keeps nothing secret is refused, and so are two in one system.

use crate::harness::{Backend, Folder, PATIENCE, command, refused};
use crate::services::Redis;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;

#[tokio::test]
async fn a_kept_secret_that_is_too_short_is_refused_until_it_is_deleted() {
    let folder = Folder::new();
    let path = folder.path().join("data/jwt-secret");
    std::fs::create_dir_all(folder.path().join("data")).expect("a folder");
    for short in ["", "0123456789012345678901234567890"] {
        std::fs::write(&path, short).expect("a file");
        let (code, said) = refused(command(folder.path()).args(["--port-base", "0"]));
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("jwt-secret is too short"), "{said}");
        assert!(short.is_empty() || !said.contains(short), "{said}");
        let kept = std::fs::read_to_string(&path).expect("it is left as it is");
        assert_eq!(kept, short);
    }
    std::fs::remove_file(&path).expect("it is there");
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    backend.user("ada").await;
    assert_eq!(std::fs::read(&path).expect("a new one").len(), 64);
}

/// A role, killed when dropped.
struct Role(Child);

impl Role {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program was built with this test");
        let stdout = child.stdout.take().expect("it is piped");
        let (line_in, line_out) = sync_channel(1);
        std::thread::spawn(move || drop(line_in.send(BufReader::new(stdout).lines().next())));
        let line = line_out.recv_timeout(PATIENCE).expect("a ready line");
        let line = line.expect("a ready line").expect("text");
        assert!(line.contains("\"ready\":true"), "{line}");
        Self(child)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_roles_with_different_secrets_on_one_redis_do_not_both_start() {
    let Some(redis) = Redis::start().await else {
        return;
    };
    let (first, second) = (Folder::new(), Folder::new());
    let role = |folder: &Path, name: &str| {
        let mut command = command(folder);
        command
            .args([name, "--port-base", "0", "--print-ready", "--queue"])
            .arg(redis.url());
        command
    };
    let recorder = Role::start(&mut role(first.path(), "recorder"));
    for secret in [None, Some("a secret of thirty-two bytes or more")] {
        let mut other = role(second.path(), "balancer");
        other.envs(secret.map(|secret| ("JWT_SECRET", secret)));
        let (code, said) = refused(&mut other);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("sign with another secret"), "{said}");
        assert!(said.contains("JWT_SECRET"), "{said}");
        assert!(secret.is_none_or(|secret| !said.contains(secret)), "{said}");
    }
    // The same secret is welcome, whichever way it comes.
    let path = first.path().join("data/jwt-secret");
    let secret = std::fs::read_to_string(path).expect("it is kept");
    drop(Role::start(&mut role(first.path(), "balancer")));
    let mut told = role(second.path(), "balancer");
    drop(Role::start(told.env("JWT_SECRET", &secret)));
    let held: String = redis::cmd("GET")
        .arg("flowreel:secret")
        .query_async(&mut redis.connection().await)
        .await
        .expect("a hash");
    assert!(held.len() == 64 && held != secret, "{held}");
    // Once they are all gone another secret may come.
    drop(recorder);
    drop(Role::start(&mut role(second.path(), "recorder")));
}
