//! Settings as they show from outside: where the listeners are, which source counts, and what is never printed.

use crate::harness::{Backend, Folder, command, until};
use crate::raw::{exchange, request};
use crate::redis_queues::sign_up;
use crate::services::{Redis, free_port};
use flowreel_live_backend::load::Http;
use serde_json::json;
use std::collections::BTreeSet;

fn free_ports<const N: usize>() -> [u16; N] {
    let mut ports = BTreeSet::new();
    while ports.len() < N {
        ports.insert(free_port());
    }
    let mut ports = ports.into_iter();
    std::array::from_fn(|_| ports.next().expect("as many as asked for"))
}

#[tokio::test]
async fn listeners_are_where_they_are_set_and_the_environment_comes_before_its_file() {
    let folder = Folder::new();
    let [balancer, first, second, third, gateway, other, another] = free_ports();
    let file =
        format!("server3_port = {third}\nserver2_port = {another}\ngateway_port = {gateway}\n");
    std::fs::write(folder.path().join("settings.toml"), file).expect("a folder");
    let lines = format!(
        "LOAD_BALANCER_PORT={other}\nSERVER1_PORT={first}\nexport SERVER2_PORT='{second}'\n"
    );
    std::fs::write(folder.path().join(".env"), lines).expect("a folder");
    let port = balancer.to_string();
    let environment = [
        ("LOAD_BALANCER_PORT", port.as_str()),
        ("FLOWREEL_CONFIG", "settings.toml"),
        ("FLOWREEL_RECORD", "off"),
    ];
    let backend = Backend::start_where_set(folder.path(), &[], &environment);
    for (name, port) in [
        ("balancer", balancer),
        ("server-1", first),
        ("server-2", second),
        ("server-3", third),
        ("gateway", gateway),
    ] {
        let url = format!("http://127.0.0.1:{port}");
        assert_eq!(backend.ready()["urls"][name], url, "{name}");
        let (status, health) = Http::new(&url)
            .get("/api/health", None)
            .await
            .expect("it listens");
        assert_eq!(status, 200, "{name}: {health}");
        if name != "balancer" {
            assert_eq!(health["server"], name);
        }
    }
    for port in [other, another] {
        let url = format!("http://127.0.0.1:{port}");
        let asked = Http::new(&url).get("/api/health", None).await;
        assert!(asked.is_err(), "nobody listens on {port}: {asked:?}");
    }
}

#[tokio::test]
async fn a_balancer_alone_listens_and_answers_503_without_servers() {
    let folder = Folder::new();
    let ports: [u16; 5] = free_ports();
    let texts = ports.map(|port| port.to_string());
    let environment = [
        ("LOAD_BALANCER_PORT", texts[0].as_str()),
        ("SERVER1_PORT", texts[1].as_str()),
        ("SERVER2_PORT", texts[2].as_str()),
        ("SERVER3_PORT", texts[3].as_str()),
        ("GATEWAY_PORT", texts[4].as_str()),
    ];
    let backend = Backend::start_where_set(folder.path(), &["balancer"], &environment);
    assert_eq!(
        backend.http.base(),
        format!("http://127.0.0.1:{}", ports[0])
    );
    let answer = until("the servers to be known as away", async || {
        let (status, answer) = backend.post("/api/logins", &json!({}), None).await;
        assert!([502, 503].contains(&status), "{status}: {answer}");
        (status == 503).then_some(answer)
    })
    .await;
    assert_eq!(answer["error"]["code"], "no_server", "{answer}");
    let (status, _) = backend.get("/api/health", None).await;
    assert_eq!(status, 503);
}

#[tokio::test]
async fn secrets_are_printed_neither_in_logs_nor_by_status() {
    const SECRETS: [&str; 4] = [
        "zyxredispassword",
        "zyxmailpassword",
        "zyxjwtsecret-of-more-than-32-bytes",
        "zyxsinkpassword",
    ];
    let acl = "--user default off --user flow on >zyxredispassword ~* &* +@all";
    let acl: Vec<&str> = acl.split(' ').collect();
    let Some(redis) = Redis::start_with(&acl).await else {
        return;
    };
    let folder = Folder::new();
    let port = redis.url().rsplit(':').next().expect("a port").to_owned();
    let relay = format!("smtps://ada:zyxmailpassword@127.0.0.1:{}", free_port());
    let environment = [
        ("RUST_LOG", "debug"),
        ("REDIS_HOST", "127.0.0.1"),
        ("REDIS_PORT", &port),
        ("REDIS_USERNAME", "flow"),
        ("REDIS_PASSWORD", SECRETS[0]),
        ("JWT_SECRET", SECRETS[2]),
        ("EMAIL_PASSWORD", SECRETS[3]),
        ("FLOWREEL_SMTP", &relay),
    ];
    let mut backend = Backend::start_with(folder.path(), &[], &environment);
    sign_up(&backend, "ada").await;
    // The relay is away, which is said.
    backend.queue_has("retry-1", "delayed", 1).await;
    let mut printed = vec![backend.ready().to_string()];
    for arguments in [&["status"][..], &["status", "--json"]] {
        let output = command(folder.path())
            .envs(environment)
            .args(arguments)
            .output()
            .expect("the program was built with this test");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("redis://***@127.0.0.1"), "{said}");
        printed.extend([said, String::from_utf8_lossy(&output.stderr).into_owned()]);
    }
    let controls = backend.read("/api/live-view/control").await;
    let base = backend.http.base();
    let metrics = exchange(base, request("GET /metrics", "", "")).await;
    printed.extend([controls.to_string(), metrics]);
    drop(backend.stop());
    printed.push(backend.log());
    for text in &printed {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
