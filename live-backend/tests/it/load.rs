//! The load driver against a real backend, and the backend under it.

use crate::harness::{Backend, Folder, count, sound_reel, until};
use flowreel_engine::model::event::EventKind;
use flowreel_live_backend::load::{LoadArgs, LoadReport, LoadSettings, Spacing, run};
use flowreel_live_backend::telemetry::Clock;
use std::process::Command;

/// Runs it from the outside, as people do; the answer is its report.
async fn load(backend: &Backend, arguments: &str) -> serde_json::Value {
    let command = format!("load --url {} {arguments}", backend.http.base());
    let run = tokio::task::spawn_blocking(move || {
        Command::new(env!("CARGO_BIN_EXE_flowreel-live"))
            .args(command.split(' '))
            .output()
    });
    let output = run.await.expect("no panic").expect("it was built");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_backend_shows_its_stall_in_the_figures() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let args = LoadArgs {
        url: backend.http.base().to_owned(),
        duration: "6s".to_owned(),
        rate: 50.0,
        arrivals: Spacing::Even,
        users: 2,
        warmup: "0s".to_owned(),
        mix: "reset-password=1".parse().expect("a mix"),
        ..LoadArgs::default()
    };
    let settings = LoadSettings::try_from(&args).expect("sensible settings");
    let stall = async {
        until("the first request", async || {
            let status = backend.status().await;
            (status["requests"]["started"].as_u64() > Some(10)).then_some(())
        })
        .await;
        backend.suspend().await;
        let stall = std::time::Duration::from_secs(2);
        let answer = tokio::time::timeout(stall, backend.status()).await;
        assert!(answer.is_err(), "a suspended backend answers");
        backend.resume();
    };
    let (report, ()) = tokio::join!(run(&settings, Clock::start()), stall);
    let report: LoadReport = report.expect("a backend is there");
    // Two seconds without answers are a third of the run: whoever was to begin in them has waited on average
    // for one, and none of them was left out. A tenth has waited longer wherever in the run's first five
    // seconds the stall began.
    assert!(report.http_ms.max > Some(1_900.0), "{report:?}");
    assert!(report.http_ms.p90 > Some(1_000.0), "{report:?}");
    assert_eq!(
        (report.sent, report.accepted, report.failed),
        (300, 300, 0),
        "{report:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn users_who_think_and_sessions_are_driven_too() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let mix = "--mix purchase=1,friend-request=1 --duration 2s --warmup 0s";
    let closed = load(
        &backend,
        &format!("--model closed --users 3 --think 100ms {mix}"),
    )
    .await;
    assert_eq!(closed["model"], "closed");
    assert!(closed.get("rate_per_s").is_none(), "{closed}");
    let sessions =
        format!("--model sessions --users 2 --rate 5 --think 50ms --session-requests 3 {mix}");
    let sessions = load(&backend, &sessions).await;
    assert_eq!(sessions["rate_per_s"], 15.0, "{sessions}");
    for report in [closed, sessions] {
        assert!(report["sent"].as_u64() > Some(5), "{report}");
        assert_eq!(report["failed"], 0, "{report}");
        assert_eq!(report["undelivered"], 0, "{report}");
        assert_eq!(report["out_of_order"], 0, "{report}");
        assert_eq!(report["reconciliation"]["holds"], true, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_sockets_of_one_process_hear_and_come_back() {
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &["--record", "off"]);
    let sockets = "--users 2 --sockets 40 --sockets-idle 60";
    let mix = "--mix friend-request=1 --rate 4 --arrivals even --duration 2s --warmup 0s";
    let report = load(&backend, &format!("{sockets} {mix}")).await;
    assert_eq!(report["sent"], 8, "{report}");
    assert_eq!(report["delivered"], 8, "{report}");
    // Each notification goes to all twenty sockets of its user, and is confirmed by each.
    assert_eq!(report["sockets"]["copies_ms"]["count"], 160, "{report}");
    assert_eq!(report["sockets"]["connect_ms"]["count"], 100, "{report}");
    assert_eq!(report["duplicates"], 0, "{report}");
    assert_eq!(report["sockets"]["lost"], 0, "{report}");
}

#[test]
fn bad_settings_are_refused_and_a_missing_backend_is_an_environment_fault() {
    for (arguments, code) in [
        ("--rate -1", 2),
        ("--profile 5", 2),
        ("--profile 5:1s --rate 5", 2),
        ("--model ajar", 2),
        ("--users 1", 2),
        ("--users 0", 2),
        ("--users 5 --sockets 4", 2),
        ("--session-requests 0", 2),
        ("--url ftp://127.0.0.1", 2),
        ("--duration soon", 2),
        ("--rate 1000 --duration 2h", 2),
        ("--url http://127.0.0.1:1 --users 2", 3),
        ("--url http://127.0.0.1:1 --users 0 --sockets-idle 1", 3),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_flowreel-live"))
            .arg("load")
            .args(arguments.split(' '))
            .output()
            .expect("it was built");
        let log = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments}: {log}");
        assert!(output.stdout.is_empty(), "{arguments}");
        assert!(!log.contains("panicked"), "{arguments}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mixed_load_is_accepted_delivered_and_recorded_without_a_loss() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let args = LoadArgs {
        url: backend.http.base().to_owned(),
        duration: "3s".to_owned(),
        rate: 4.0,
        users: 3,
        warmup: "0s".to_owned(),
        ..LoadArgs::default()
    };
    let settings = LoadSettings::try_from(&args).expect("sensible settings");
    let report = run(&settings, Clock::start())
        .await
        .expect("a backend is there");
    assert!(report.sent > 0, "{report:?}");
    assert_eq!(report.sent, report.accepted + report.failed, "{report:?}");
    assert_eq!(report.failed, 0, "{report:?}");
    assert_eq!(report.undelivered, 0, "{report:?}");
    assert_eq!(report.expected, report.delivered, "{report:?}");
    assert_eq!(report.sockets_lost, 0, "{report:?}");
    assert_eq!(
        (report.duplicates, report.out_of_order, report.unacked),
        (0, 0, 0),
        "{report:?}"
    );
    let books = report.reconciliation.expect("the backend shows its counts");
    assert!(books.holds && books.delivered > 0, "{books:?}");
    assert_eq!(report.delivery_ms.count, report.delivered, "{report:?}");
    assert!(
        report.delivery_ms.p99 >= report.delivery_ms.p50,
        "{report:?}"
    );

    let events = sound_reel(&backend.stop());
    let users = u64::from(settings.user_count);
    let begun = u64::try_from(count(&events, EventKind::RequestBegun)).expect("few");
    assert_eq!(
        begun,
        report.sent + 2 * users,
        "each user signed up and logged in first"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_just_after_hundreds_of_sockets_left_ends() {
    let folder = Folder::new();
    let mut backend = Backend::start(folder.path(), &[]);
    let arguments = "--users 0 --sockets-idle 500 --duration 1s --warmup 0s";
    load(&backend, arguments).await;
    sound_reel(&backend.stop());
}
