//! Traces of others become events: figures as counted by others, streams that keep every invariant.

use flowreel_engine::import::{Import, ImportError, Input, import};
use flowreel_engine::model::check::check_stream;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::recording::{ReelReader, RunSource};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

fn data(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/traces")
        .join(name);
    std::fs::read(path).expect("the file ships with the tests")
}

fn import_one(bytes: &[u8]) -> Result<Import, ImportError> {
    import(
        &[Input {
            name: "traces.json",
            bytes,
        }],
        None,
    )
}

/// Imports, and checks that the events are a whole and honest run of as many requests as traces.
pub(crate) fn imported(name: &str, bytes: &[u8]) -> Import {
    let imported = import(&[Input { name, bytes }], None).expect(name);
    let events: Vec<StageEvent> = imported.events.iter().map(|(event, _)| *event).collect();
    let state = check_stream(&imported.topology, &events)
        .map_err(|violation| violation.to_string())
        .expect(name);
    assert_eq!(state.requests().started, imported.report.traces, "{name}");
    assert_eq!(state.requests().in_flight, 0, "{name}");
    imported
}

fn event_lines(imported: &Import) -> Vec<String> {
    let name = |id| imported.topology.component_name(id);
    let mut lines = Vec::new();
    for (event, _) in &imported.events {
        let (at, part) = (event.t_ns.0 / 1000, event.part.0);
        let kind = event.kind.name();
        lines.push(match event.kind {
            EventKind::Forwarded => format!(
                "{at} {part} {kind} {} {}",
                name(event.component),
                name(event.peer)
            ),
            EventKind::ServiceEnded if event.outcome == Outcome::Failed => {
                format!("{at} {part} {kind} {} failed", name(event.component))
            }
            _ => format!("{at} {part} {kind} {}", name(event.component)),
        });
    }
    lines
}

/// A trace of spans given as (id, parent, service, start, duration).
pub(crate) fn trace(spans: &[(&str, &str, &str, i64, i64)]) -> Vec<u8> {
    let spans: Vec<Value> = spans
        .iter()
        .map(|(id, parent, service, start, duration)| {
            let references = if parent.is_empty() {
                serde_json::json!([])
            } else {
                serde_json::json!([{"refType": "CHILD_OF", "traceID": "t", "spanID": parent}])
            };
            serde_json::json!({"traceID": "t", "spanID": id, "operationName": "work", "references": references,
                "startTime": start, "duration": duration, "process": {"serviceName": service}})
        })
        .collect();
    serde_json::to_vec(&serde_json::json!({"traceID": "t", "spans": spans})).expect("plain values")
}

#[test]
fn calls_one_after_another_stay_on_one_part() {
    let imported = imported("case-05", &data("crisp-case-05.json"));
    let lines = event_lines(&imported);
    assert_eq!(
        lines[..9],
        [
            "0 0 request-begun clients",
            "0 0 forwarded clients S1",
            "0 0 arrived S1",
            "0 0 service-started S1",
            "10 0 forwarded S1 S2",
            "10 0 arrived S2",
            "10 0 service-started S2",
            "30 0 service-ended S2",
            "40 0 forwarded S1 S2",
        ]
    );
    assert_eq!(lines.last().unwrap(), "100 0 request-finished S1");
    assert_eq!(
        imported.report.edges,
        [("S1".to_owned(), "S2".to_owned(), 3)]
    );
}

#[test]
fn spans_of_one_service_fold_into_one_visit() {
    let imported = imported(
        "fold",
        &trace(&[
            ("a", "", "web", 0, 100),
            ("b", "a", "web", 10, 50),
            ("c", "b", "store", 20, 10),
        ]),
    );
    let arrivals = imported
        .events
        .iter()
        .filter(|(event, _)| event.kind == EventKind::Arrived)
        .count();
    assert_eq!(arrivals, 2);
    assert_eq!(
        imported.report.edges,
        [("web".to_owned(), "store".to_owned(), 1)]
    );
    let details: Vec<_> = imported
        .events
        .iter()
        .filter_map(|(_, detail)| detail.as_ref()?.get("spans"))
        .collect();
    assert_eq!(details, ["2", "1"]);
}

#[test]
fn calls_beside_each_other_go_on_parts_of_their_own() {
    let imported = imported(
        "fork",
        &trace(&[
            ("a", "", "web", 0, 100),
            ("b", "a", "left", 10, 50),
            ("c", "a", "right", 20, 60),
        ]),
    );
    let parts: Vec<(u16, &str)> = imported
        .events
        .iter()
        .filter(|(event, _)| event.kind == EventKind::Arrived)
        .map(|(event, _)| {
            (
                event.part.0,
                imported.topology.component_name(event.component),
            )
        })
        .collect();
    assert_eq!(parts, [(0, "web"), (0, "left"), (1, "right")]);
    let (last, _) = imported.events.last().unwrap();
    assert_eq!((last.kind, last.value), (EventKind::RequestFinished, 2));
}

#[test]
fn a_service_that_calls_itself_through_another_keeps_both_visits() {
    imported(
        "loop",
        &trace(&[
            ("a", "", "web", 0, 100),
            ("b", "a", "queue", 10, 80),
            ("c", "b", "web", 20, 10),
        ]),
    );
}

#[test]
fn the_service_that_clients_called_answers_and_not_what_it_calls() {
    let imported = imported(
        "answer",
        &trace(&[("a", "", "web", 0, 100), ("b", "a", "store", 10, 20)]),
    );
    let events = imported.events.iter().map(|(event, _)| event);
    let state = check_stream(&imported.topology, events).unwrap();
    assert_eq!(
        (
            state.system().answer_time.count,
            state.system().answer_time.sum_ns
        ),
        (1, 100_000)
    );
}

#[test]
fn work_that_outlives_its_caller_ends_the_request() {
    let imported = imported(
        "async",
        &trace(&[("a", "", "web", 0, 100), ("b", "a", "mail", 90, 500)]),
    );
    assert_eq!(
        event_lines(&imported).last().unwrap(),
        "590 0 request-finished mail"
    );
}

#[test]
fn circles_of_parents_are_cut_and_said() {
    let imported = imported(
        "circle",
        &trace(&[
            ("a", "b", "web", 0, 100),
            ("b", "a", "mail", 10, 50),
            ("c", "c", "web", 5, 5),
        ]),
    );
    assert!(
        imported
            .report
            .warnings
            .iter()
            .any(|line| line.contains("circles")),
        "{:?}",
        imported.report.warnings
    );
}

#[test]
fn a_failure_shows_in_the_visit_and_at_the_root_in_the_request() {
    let imported = imported("error", &data("crisp-error-1-1.json"));
    assert_eq!(imported.report.errors, 2);
    assert!(
        event_lines(&imported)
            .iter()
            .any(|line| line.ends_with("service-ended S2 failed"))
    );
    let (last, _) = imported.events.last().unwrap();
    assert_eq!(
        (last.kind, last.outcome),
        (EventKind::RequestFinished, Outcome::Failed)
    );
}

#[test]
fn what_cannot_be_used_is_counted_and_named() {
    let text = br#"{"data":[{"traceID":"t","spans":[
        {"traceID":"t","spanID":"a","startTime":"soon","duration":-5,"processID":"none"},
        {"traceID":"t","operationName":"no id"}, 17, null,
        {"spanID":"b","references":"a","tags":{"error":true},"startTime":12.5,"duration":3}]}, "no trace"]}"#;
    let imported = imported("odd", text);
    assert_eq!(
        (imported.report.spans, imported.report.skipped),
        (2, 4),
        "{:?}",
        imported.report.warnings
    );
    let warnings = imported.report.warnings.join("\n");
    for expected in [
        "2 entries of `spans` that are no span",
        "1 spans without an id",
        "1 entries of `data`",
        "without a start",
    ] {
        assert!(warnings.contains(expected), "{expected}: {warnings}");
    }
    assert_eq!(imported.report.services, ["(none)"]);
}

#[test]
fn bad_files_get_one_sentence_with_their_place() {
    let check = |bytes: &[u8], expected: &str| {
        let error = import_one(bytes).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    };
    check(b"", "the file is empty");
    check(b" \n ", "the file is empty");
    check(b"{\"data\":[", "traces.json:1:9");
    check(b"not json", "traces.json:1:");
    check(b"{}", "no spans in it");
    check(b"17", "no spans in it");
    check(b"\x1f\x8b\x08 torn", "gzip");
    check(b"{\"resourceSpans\":[]}", "no spans of OTLP JSON in it");
    check(b"[{\"traceId\":\"1\",\"id\":0}]", "no spans of Zipkin JSON");
    let deep = "{\"data\":[".repeat(5000) + &"]}".repeat(5000);
    check(deep.as_bytes(), "recursion limit");
}

#[test]
fn gzip_and_a_byte_order_mark_are_read_as_the_text_inside() {
    let plain = data("jaeger-ui-model.json");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(b"\xef\xbb\xbf").unwrap();
    encoder.write_all(&plain).unwrap();
    let packed = encoder.finish().unwrap();
    assert_eq!(
        imported("packed", &packed).report,
        imported("plain", &plain).report
    );
}

#[test]
fn several_files_are_one_run_and_one_trace_may_be_spread_over_them() {
    let (first, second) = (
        trace(&[("a", "", "web", 0, 100)]),
        trace(&[("b", "a", "store", 10, 20)]),
    );
    let inputs = [
        Input {
            name: "1",
            bytes: &first,
        },
        Input {
            name: "2",
            bytes: &second,
        },
    ];
    let imported = import(&inputs, None).unwrap();
    assert_eq!((imported.report.traces, imported.report.spans), (1, 2));
    assert_eq!(imported.report.edges.len(), 1);
}

fn flowreel(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_flowreel"))
        .args(arguments)
        .output()
        .expect("the program was built for this test");
    let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (
        output.status.code(),
        answer,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn the_program_writes_a_reel_that_holds_what_was_imported() {
    let folder = std::env::temp_dir().join(format!("flowreel-import-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, reel) = (folder.join("traces.json"), folder.join("run.reel"));
    std::fs::write(&source, data("crisp-case-05.json")).unwrap();
    let (source, reel) = (source.to_str().unwrap(), reel.to_str().unwrap());

    let (code, answer, _) = flowreel(&["import", source, "--out", reel, "--json"]);
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["schema"], "flowreel.import/1");
    assert_eq!(answer["edges"], serde_json::json!([["S1", "S2", 3]]));
    let read = ReelReader::open(Path::new(reel)).unwrap();
    assert_eq!(read.meta().source, RunSource::Import);
    assert_eq!(
        read.summary().map(|summary| summary.events),
        answer["events"].as_u64()
    );

    let (code, answer, error) = flowreel(&["import", source, "--out", source, "--json"]);
    assert_eq!(
        (code, answer["schema"].as_str()),
        (Some(2), Some("flowreel.error/1")),
        "{error}"
    );
    assert_eq!(std::fs::read(source).unwrap(), data("crisp-case-05.json"));
    for (arguments, expected) in [
        (
            vec!["import", folder.to_str().unwrap(), "--out", "x.reel"],
            "folder",
        ),
        (
            vec!["import", "no-such-file", "--out", "x.reel"],
            "no-such-file",
        ),
        (
            vec!["import", source, "--format", "zipkin", "--out", "x.reel"],
            "no spans of Zipkin JSON",
        ),
        (
            vec!["import", reel, "--out", "x.reel"],
            "not the JSON of a trace",
        ),
    ] {
        let (code, _, error) = flowreel(&arguments);
        assert_eq!(code, Some(2), "{error}");
        assert!(
            error.contains(expected) && error.lines().count() == 1,
            "{error}"
        );
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn figures_of_the_files_that_ship_with_the_tests() {
    let check = |name: &str, spans: u64, errors: u64, edges: usize| {
        let report = imported(name, &data(name)).report;
        assert_eq!(
            (report.spans, report.errors, report.edges.len()),
            (spans, errors, edges),
            "{name}"
        );
    };
    check("crisp-case-05.json", 4, 0, 1);
    check("crisp-error-1-1.json", 2, 2, 1);
    check("jaeger-ui-model.json", 5, 1, 1);
    check("jaeger-es-one-span.json", 1, 1, 0);
    check("otlp-both-scope-layouts.json", 4, 0, 0);
    check("otlp-spec-example.json", 1, 0, 0);
    check("otlp-two-requests.jsonl", 4, 0, 0);
    check("zipkin-messaging-kafka.json", 28, 3, 1);
    check("zipkin-skew.json", 4, 0, 1);
    check("zipkin-v1-bad-parent-id.json", 2, 0, 0);
    check("zipkin-v1-multiple-batches.json", 5, 0, 3);
    check("zipkin-v1-train-order.json", 2, 0, 1);
}

/// A producer's message waits in a queue of its own until a consumer takes it.
#[test]
fn messages_go_through_a_queue() {
    let text = br#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"spans":[{"traceId":"aa","spanId":"1","name":"buy","kind":2,"startTimeUnixNano":"1000","endTimeUnixNano":"9000"},
        {"traceId":"aa","spanId":"2","parentSpanId":"1","name":"publish","kind":4,"startTimeUnixNano":"2000","endTimeUnixNano":"3000"}]}]},
        {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"mailer"}}]},
        "scopeSpans":[{"spans":[{"traceId":"aa","spanId":"3","parentSpanId":"2","name":"process","kind":5,"startTimeUnixNano":"20000",
        "endTimeUnixNano":"25000","status":{"code":2},"attributes":[{"key":"messaging.destination.name","value":{"stringValue":"mails"}}]}]}]}]}"#;
    let imported = imported("messages", text);
    let lines = event_lines(&imported);
    let nanoseconds: Vec<u64> = imported
        .events
        .iter()
        .map(|(event, _)| event.t_ns.0)
        .collect();
    assert_eq!(
        lines,
        [
            "0 0 request-begun clients",
            "0 0 forwarded clients shop",
            "0 0 arrived shop",
            "0 0 service-started shop",
            "1 1 forwarded shop mails",
            "2 1 job-added mails",
            "8 0 service-ended shop",
            "19 1 job-picked-up mails",
            "19 1 arrived mailer",
            "19 1 service-started mailer",
            "24 1 service-ended mailer failed",
            "24 1 job-failed mailer",
            "24 1 part-finished mailer",
            "24 0 part-finished mailer",
            "24 0 request-finished mailer",
        ]
    );
    assert_eq!(nanoseconds.last(), Some(&24_000));
    let kinds: Vec<&str> = imported
        .topology
        .components
        .iter()
        .map(|it| it.kind.name())
        .collect();
    assert_eq!(kinds, ["clients", "worker", "server", "queue"]);
    assert_eq!(
        imported.report.edges,
        [("shop".to_owned(), "mailer".to_owned(), 1)]
    );
}

/// Compares with what others counted, where their material lies beside the checkout.
#[test]
fn figures_of_every_recorded_file() {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces");
    let Ok(text) = std::fs::read_to_string(traces.join("expectations.json")) else {
        println!("skipped: there is no ../shared/traces beside the checkout");
        return;
    };
    let expectations: Value = serde_json::from_str(&text).unwrap();
    let mut count = 0;
    for expected in expectations["files"].as_array().unwrap() {
        count += 1;
        let name = expected["file"].as_str().unwrap();
        let path: PathBuf = traces.join(name);
        let report = imported(name, &std::fs::read(path).unwrap()).report;
        let edges: Vec<Value> = report
            .edges
            .iter()
            .map(|(from, to, count)| serde_json::json!([from, to, count]))
            .collect();
        let found = serde_json::json!([
            report.traces,
            report.spans,
            report.errors,
            report.services,
            edges
        ]);
        let wanted = [
            "trace_count",
            "span_count",
            "error_count",
            "services",
            "edges",
        ]
        .map(|key| expected[key].clone());
        assert_eq!(found, Value::from(wanted.to_vec()), "{name}");
        let others = &expected["encoding"]["non_trace_documents"];
        let others = others.as_u64().unwrap_or(0);
        assert_eq!(report.skipped, others, "{name}: {:?}", report.warnings);
        println!("{name}: {} spans, {:?}", report.spans, report.warnings);
    }
    assert!(count >= 48, "only {count} files in the list");
}
