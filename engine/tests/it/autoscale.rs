//! Autoscaled stations: one run worked out by hand, and the end of runs that count requests.

use flowreel_engine::analysis::{Answer, Runs, simulate};
use flowreel_engine::kernel::{EventSink, run};
use flowreel_engine::model::check::check_stream;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::scenario::load;

const SCALED: &str = r#"schema = 1
name = "scaled"
duration = "100s"
warmup = "0s"
[[source]]
id = "c"
arrivals = { process = "trace", at_s = [0, 1, 2, 3, 41, 41.5] }
to = "s"
[[station]]
id = "s"
service = { dist = "deterministic", mean_s = 8 }
autoscale = { min = 1, max = 4, target_utilization = 0.5, every_s = 10, up_lag_s = 5, down_lag_s = 12 }
"#;

#[test]
fn servers_follow_the_load_as_worked_out_by_hand() {
    let scenario = load(SCALED, &[]).expect("valid");
    let mut events: Vec<StageEvent> = Vec::new();
    let mut sink = EventSink(|event: &StageEvent| events.push(*event));
    let figures = simulate(&scenario, 1, &mut sink).expect("runs");
    check_stream(&scenario.topology, &events).expect("every invariant holds");
    let of = |kind: EventKind| -> Vec<(u64, u64)> {
        let all = events.iter().filter(|event| event.kind == kind);
        all.map(|event| (event.t_ns.0 / 1_000_000, event.value))
            .collect()
    };
    // Looks at 10 s (1.0 busy: 2 wanted), 20 s (1.5: 3), 30 s (0.7: 2), 40 s (0: 1); at 50 s (1.6: 4)
    // the server to go at 52 s is kept and two are ordered, at 60 s (0: 1) three are marked.
    assert_eq!(
        of(EventKind::ControlApplied),
        [
            (15_000, 2000),
            (25_000, 3000),
            (42_000, 2000),
            (55_000, 4000),
            (72_000, 1000)
        ]
    );
    let starts: Vec<u64> = of(EventKind::ServiceStarted)
        .iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(starts, [0, 8000, 15_000, 16_000, 41_000, 41_500]);
    let answer = serde_json::to_value(Answer::new(&scenario, 1, &Runs::one(&scenario, figures)))
        .expect("JSON");
    let station = &answer["stations"]["s"];
    let near = |path: &str, exact: f64| {
        let value = station[path]["value"].as_f64().expect("a figure");
        assert!(
            (value - exact).abs() < 1e-12,
            "{path}: {value}, not {exact}"
        );
    };
    // 15 s of 1 server, 10 of 2, 17 of 3, 13 of 2, 17 of 4, 28 of 1; busy six times 8 s.
    near("servers_mean", 2.08);
    near("utilization", 48.0 / 208.0);
}

#[test]
fn a_run_that_counts_requests_ends_where_no_more_will_come() {
    let set = ["requests=1000".to_owned()];
    let scenario = load(SCALED, &set).expect("valid");
    let report = run(&scenario, 1, &mut ()).expect("ends");
    assert_eq!((report.started, report.finished), (6, 6));
}

#[test]
fn wrong_autoscalers_are_refused() {
    for (from, to, words) in [
        ("min = 1", "min = 5", "`min` 5 and `max` 4"),
        ("max = 4", "max = 0", "`max` is 0"),
        ("= 0.5", "= 1.5", "`target_utilization` is 1.5"),
        ("every_s = 10", "every_s = 0", "`every_s` is 0"),
        ("up_lag_s = 5", "up_lag_s = -5", "`up_lag_s` is -5"),
        (
            "id = \"s\"\n",
            "id = \"s\"\nservers = 9\n",
            "9 servers to begin with",
        ),
        (
            "id = \"s\"\n",
            "id = \"s\"\nservers = \"infinite\"\n",
            "infinite servers",
        ),
        ("up_lag_s", "up_lag", "did you mean `up_lag_s`?"),
    ] {
        let text = SCALED.replacen(from, to, 1);
        let said = load(&text, &[]).expect_err("refused").to_string();
        assert!(said.contains(words), "{to}: {said}");
    }
}
