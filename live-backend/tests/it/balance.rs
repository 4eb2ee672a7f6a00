//! The balancer from the outside: whose turn it is, what the status says of it, and many clients at rest.

use crate::harness::{Backend, Folder, until};
use flowreel_live_backend::load::{Http, LoadArgs, LoadSettings, run};
use flowreel_live_backend::telemetry::Clock;
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Which server says that it answered a request for the health.
async fn answering_server(base: &str) -> String {
    let authority = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(authority).await.expect("it listens");
    let request = "GET /api/health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("it answers");
    let named = answer
        .lines()
        .find_map(|line| line.strip_prefix("x-server: "));
    named.expect("a server names itself").to_owned()
}

fn handled(status: &Value) -> Vec<u64> {
    let servers = status["loadBalancer"]["servers"].as_array();
    let counts = servers.into_iter().flatten().map(|server| {
        let count = server["requestsHandled"].as_u64();
        count.expect("a count")
    });
    counts.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_requests_go_round_and_the_status_says_so() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    // Asked at a server itself, the status is no request of the balancer's.
    let server = backend.ready()["urls"]["server-1"].as_str();
    let server = Http::new(server.expect("a URL"));
    let token = Some(backend.admin_token.as_str());
    let status = async || {
        let answer = server.get("/api/live-view/status", token).await;
        answer.expect("an answer").1
    };
    let before = handled(&status().await);
    let mut named = BTreeMap::new();
    for _ in 0..300 {
        *named
            .entry(answering_server(backend.http.base()).await)
            .or_insert(0) += 1;
    }
    let counts: Vec<(String, i32)> = named.into_iter().collect();
    let each = |server: &str| (server.to_owned(), 100);
    assert_eq!(counts, ["server-1", "server-2", "server-3"].map(each));
    let after = handled(&status().await);
    let added: Vec<u64> = after
        .iter()
        .zip(before)
        .map(|(after, before)| after - before)
        .collect();
    assert_eq!(added, [100, 100, 100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_shows_the_rate_of_an_even_load() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let args = LoadArgs {
        url: backend.http.base().to_owned(),
        duration: "10s".to_owned(),
        rate: 50.0,
        arrivals: flowreel_live_backend::load::Spacing::Even,
        users: 2,
        warmup: "0s".to_owned(),
        drain: "0s".to_owned(),
        mix: "reset-password=1".parse().expect("a mix"),
        ..LoadArgs::default()
    };
    let settings = LoadSettings::try_from(&args).expect("sensible settings");
    let in_a_row = Cell::new(0);
    let shown = until(
        "a rate of 50 requests a second, time and again",
        async || {
            let status = backend.status().await;
            let rate = status["metrics"]["requestsPerSecond"].as_u64();
            let is_right = rate.is_some_and(|rate| (48..=52).contains(&rate));
            in_a_row.set(if is_right { in_a_row.get() + 1 } else { 0 });
            (in_a_row.get() == 50).then_some(())
        },
    );
    let (report, _shown) = tokio::join!(run(&settings, Clock::start()), shown);
    assert_eq!(report.expect("a backend is there").sent, 500);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no settings to be given"
)]
fn socket_count() -> u32 {
    let asked = std::env::var("FLOWREEL_SOCKETS");
    asked.map_or(1000, |count| count.parse().expect("a number of sockets"))
}

/// `FLOWREEL_SOCKETS=10000` is the whole of it; ten thousand sockets take their time unoptimised.
#[tokio::test(flavor = "multi_thread")]
async fn clients_at_rest_stay_connected_however_many() {
    let count = socket_count();
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let args = LoadArgs {
        url: backend.ready()["urls"]["server-2"]
            .as_str()
            .expect("a URL")
            .to_owned(),
        duration: "5s".to_owned(),
        users: 0,
        sockets_idle: count,
        ..LoadArgs::default()
    };
    let settings = LoadSettings::try_from(&args).expect("sensible settings");
    let shown = until("all sockets in the status", async || {
        let status = backend.status().await;
        let open = status["sockets"]["totalConnections"].as_u64();
        (open == Some(u64::from(count))).then_some(())
    });
    let (report, ()) = tokio::join!(run(&settings, Clock::start()), shown);
    let report = report.expect("a backend is there");
    assert_eq!(report.sockets.connect_ms.count, u64::from(count));
    assert_eq!(report.sockets.lost, 0, "{report:?}");
}
