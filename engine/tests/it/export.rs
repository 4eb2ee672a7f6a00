//! Reels for other tools: what is written is what was recorded.

use crate::cli::{folder, json};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn shipped(name: &str) -> String {
    format!("{}/../recordings/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn export(reel: &str, format: &str, out: &Path) -> Value {
    let out = out.to_str().expect("names in ASCII");
    let (code, answer, error) = json(&["export", reel, "--format", format, "--out", out]);
    assert_eq!(code, 0, "{answer} {error}");
    answer
}

#[test]
fn lines_and_rows_are_the_events() {
    let folder = folder("export-events");
    for name in [
        "retry-ladder.reel",
        "smtp-refuses.reel",
        "media-review.reel",
    ] {
        let reel = shipped(name);
        let (_, info, _) = json(&["info", &reel]);
        let (lines, rows) = (folder.join("events.jsonl"), folder.join("events.csv"));
        assert_eq!(export(&reel, "jsonl", &lines)["items"], info["events"]);
        assert_eq!(export(&reel, "csv", &rows)["items"], info["events"]);
        let lines = std::fs::read_to_string(&lines).expect("UTF-8");
        let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
        let mut last = (0, 0);
        for (seq, line) in lines.lines().enumerate() {
            let event: Value = serde_json::from_str(line).expect("an object a line");
            assert_eq!(event["seq"], seq);
            let t_ns = event["t_ns"].as_u64().expect("a number");
            assert!((t_ns, seq) >= last);
            last = (t_ns, seq);
            *kinds
                .entry(event["kind"].as_str().expect("a name").to_owned())
                .or_default() += 1;
        }
        assert_eq!(
            serde_json::to_value(kinds).expect("plain"),
            info["kinds"],
            "{name}"
        );
        let rows = std::fs::read_to_string(&rows).expect("UTF-8");
        let count = rows.matches("\r\n").count() as u64;
        assert_eq!(info["events"], count - 1, "{name}");
    }
}

#[test]
fn exported_spans_are_imported_as_they_are() {
    let folder = folder("export-otlp");
    for name in [
        "retry-ladder.reel",
        "smtp-refuses.reel",
        "media-review.reel",
    ] {
        round_trip(&shipped(name), &folder);
    }
}

/// Stories of every kind: forks, hedges, retries, breakers, closed sources, time limits.
#[test]
fn spans_of_simulated_runs_are_imported_as_they_are() {
    let folder = folder("export-otlp-simulated");
    let scenarios = format!("{}/../scenarios", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(scenarios)
        .expect("scenarios ship")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    files.sort();
    let mut count = 0;
    for file in files.iter().step_by((files.len() / 10).max(1)) {
        let reel = folder.join("run.reel").display().to_string();
        let scenario = file.display().to_string();
        let (code, answer, _) = json(&["simulate", &scenario, "--duration", "2m", "--out", &reel]);
        assert!(code < 2, "{scenario}: {answer}");
        round_trip(&reel, &folder);
        count += 1;
    }
    assert!(count >= 10, "only {count} scenarios");
}

/// Parts that nobody waits for, and pieces that begin in the middle, lose no span.
#[test]
fn visits_without_the_beginning_of_their_request_are_exported_too() {
    let folder = folder("export-otlp-piece");
    let piece = folder.join("piece.reel").display().to_string();
    let whole = shipped("smtp-refuses.reel");
    let arguments = [
        "slice", &whole, "--from", "10s", "--to", "20s", "--out", &piece,
    ];
    assert_eq!(json(&arguments).0, 0);
    let spans = folder.join("piece.jsonl");
    let exported = export(&piece, "otlp", &spans)["items"].as_u64();
    let (_, info, _) = json(&["info", &piece]);
    let kinds = &info["kinds"];
    let opened = ["arrived", "job-added", "job-delayed", "job-dead-lettered"]
        .iter()
        .filter_map(|kind| kinds[*kind].as_u64());
    // Each visit, and each request that is seen to begin.
    let wanted = opened.sum::<u64>() + kinds["request-begun"].as_u64().expect("some begin");
    assert_eq!(exported, Some(wanted));
    let (code, imported, _) = json(&["import", spans.to_str().expect("ASCII")]);
    assert_eq!((code, imported["spans"].as_u64()), (0, Some(wanted)));
}

/// The export read again is the export: traces, spans, failures, services, calls.
pub(crate) fn round_trip(reel: &str, folder: &Path) {
    let name = reel;
    let file = folder.join("spans.jsonl");
    let answer = export(reel, "otlp", &file);
    let lines = std::fs::read_to_string(&file).expect("UTF-8");
    let (mut spans, mut errors, mut services) = (0, 0, BTreeSet::new());
    let mut traces = BTreeSet::new();
    let mut owners: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut links = Vec::new();
    for line in lines.lines() {
        let request: Value = serde_json::from_str(line).expect("an object a line");
        for resource in request["resourceSpans"].as_array().expect("a list") {
            let service = &resource["resource"]["attributes"][0]["value"]["stringValue"];
            let service = service.as_str().expect("a name").to_owned();
            services.insert(service.clone());
            for span in resource["scopeSpans"][0]["spans"]
                .as_array()
                .expect("a list")
            {
                spans += 1;
                errors += u64::from(span["status"]["code"] == 2);
                let id = |key: &str| span[key].as_str().map(str::to_owned);
                let trace = id("traceId").expect("an id");
                traces.insert(trace.clone());
                let own = (trace.clone(), id("spanId").expect("an id"));
                let is_new = owners.insert(own, service.clone()).is_none();
                assert!(is_new, "{span}");
                if let Some(parent) = id("parentSpanId") {
                    links.push(((trace, parent), service.clone()));
                }
                let time = |key: &str| id(key).and_then(|t| t.parse::<u64>().ok());
                assert!(
                    time("startTimeUnixNano") <= time("endTimeUnixNano"),
                    "{span}"
                );
                assert!(time("startTimeUnixNano") > Some(0), "{span}");
            }
        }
    }
    let mut edges: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (parent, child) in links {
        let caller = owners.get(&parent).expect("every parent is in the file");
        if *caller != child {
            *edges.entry((caller.clone(), child)).or_default() += 1;
        }
    }
    let edges: Vec<Value> = edges
        .into_iter()
        .map(|((from, to), count)| serde_json::json!([from, to, count]))
        .collect();
    assert_eq!(answer["items"], spans, "{name}");
    let reel = folder.join("again.reel");
    let file = file.to_str().expect("names in ASCII");
    let (code, imported, _) = json(&["import", file, "--out", reel.to_str().expect("ASCII")]);
    assert_eq!(code, 0, "{imported}");
    assert_eq!(imported["traces"], traces.len(), "{name}");
    assert_eq!(imported["spans"], spans, "{name}");
    assert_eq!(imported["errors"], errors, "{name}");
    assert_eq!(imported["skipped"], 0, "{name}");
    assert_eq!(imported["services"], serde_json::json!(services), "{name}");
    assert_eq!(imported["edges"], serde_json::json!(edges), "{name}");
    let (_, verified, _) = json(&["verify", reel.to_str().expect("ASCII")]);
    assert_eq!(verified["holds"], true, "{name}");
}

#[test]
fn a_file_that_is_read_is_not_written_over() {
    let folder = folder("export-over");
    let reel = folder.join("run.reel");
    std::fs::copy(shipped("media-review.reel"), &reel).expect("room on the disk");
    let path = reel.to_str().expect("names in ASCII");
    let (code, refused, _) = json(&["export", path, "--format", "csv", "--out", path]);
    assert_eq!(code, 2, "{refused}");
    let (_, info, _) = json(&["info", path]);
    assert_eq!(info["complete"], true);
}
