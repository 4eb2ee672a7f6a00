//! Recorded traces of others through the built program: counted as others count them, and every verb
//! works on what becomes of them.

use crate::cli::{flowreel, folder, json};
use crate::export::round_trip;
use serde_json::{Value, json as value};
use std::path::{Path, PathBuf};

/// Small files in the tree, with traces, spans, errors, services and edges.
const IN_TREE: [(&str, u64, u64, u64, usize, usize); 12] = [
    ("crisp-case-05.json", 1, 4, 0, 2, 1),
    ("crisp-error-1-1.json", 1, 2, 2, 2, 1),
    ("jaeger-es-one-span.json", 1, 1, 1, 1, 0),
    ("jaeger-ui-model.json", 1, 5, 1, 2, 1),
    ("otlp-both-scope-layouts.json", 1, 4, 0, 1, 0),
    ("otlp-spec-example.json", 1, 1, 0, 1, 0),
    ("otlp-two-requests.jsonl", 1, 4, 0, 1, 0),
    ("zipkin-messaging-kafka.json", 1, 28, 3, 2, 1),
    ("zipkin-skew.json", 1, 4, 0, 2, 1),
    ("zipkin-v1-bad-parent-id.json", 1, 2, 0, 1, 0),
    ("zipkin-v1-multiple-batches.json", 1, 5, 0, 4, 3),
    ("zipkin-v1-train-order.json", 1, 2, 0, 2, 1),
];

fn import(file: &Path, reel: &Path) -> Value {
    let (file, reel) = (file.display().to_string(), reel.display().to_string());
    let (code, answer, error) = json(&["import", &file, "--out", &reel]);
    assert_eq!(code, 0, "{file}: {error}");
    answer
}

/// Every verb answers, and what they say fits together.
fn every_verb_works(name: &str, reel: &Path, folder: &Path) {
    let reel = reel.display().to_string();
    let out = folder.join("out.reel").display().to_string();
    let pieces = folder.join("pieces").display().to_string();
    let run = |arguments: &[&str]| {
        let (code, answer, error) = json(arguments);
        assert_eq!(code, 0, "{name} {arguments:?}: {error}");
        answer
    };
    let info = run(&["info", &reel]);
    assert_eq!(info["source"], "import", "{name}");
    let events = info["events"].as_u64().expect("a number");
    assert_eq!(run(&["verify", &reel])["holds"], true, "{name}");
    let requests = run(&["requests", &reel]);
    assert_eq!(requests["count"], info["requests"], "{name}");
    let first = requests["requests"][0]["id"]
        .as_str()
        .expect("there is one");
    let journey = run(&["request", &reel, first]);
    assert!(!journey["stages"].as_array().expect("a list").is_empty());
    let cat = run(&["cat", &reel]);
    assert_eq!(
        cat["events"].as_array().map(Vec::len),
        usize::try_from(events).ok()
    );
    let half = format!("{}ns", info["last_t_ns"].as_u64().expect("a number") / 2);
    run(&["state", &reel, "--at", &half]);
    let sliced = run(&["slice", &reel, "--to", &half, "--out", &out]);
    assert!(sliced["events"].as_u64() <= Some(events));
    run(&["verify", &out]);
    let split = run(&["split", &reel, "--by", "component", "--out", &pieces]);
    let parts = split["pieces"].as_array().expect("a list").iter();
    let sum: u64 = parts.filter_map(|piece| piece["events"].as_u64()).sum();
    assert_eq!(sum, events, "{name}");
    std::fs::remove_dir_all(&pieces).expect("the pieces can go");
    for format in ["parquet", "perfetto", "csv", "jsonl", "otlp"] {
        run(&["export", &reel, "--format", format, "--out", &out]);
    }
    round_trip(&reel, folder);
}

#[test]
fn files_in_the_tree_are_counted_and_every_verb_works_on_them() {
    let folder = folder("traces-in-tree");
    for (name, traces, spans, errors, services, edges) in IN_TREE {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data/traces")
            .join(name);
        let reel = folder.join("run.reel");
        let answer = import(&file, &reel);
        let length = |key: &str| answer[key].as_array().map_or(0, Vec::len);
        assert_eq!(
            value!([answer["traces"], answer["spans"], answer["errors"]]),
            value!([traces, spans, errors]),
            "{name}"
        );
        assert_eq!(
            (length("services"), length("edges")),
            (services, edges),
            "{name}"
        );
        assert_eq!(answer["skipped"], 0, "{name}");
        every_verb_works(name, &reel, &folder);
    }
}

/// Where the material lies beside the checkout: exactly the figures that others counted.
#[test]
fn every_recorded_file_is_counted_by_the_program_as_others_count_it() {
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces");
    let Ok(text) = std::fs::read_to_string(traces.join("expectations.json")) else {
        println!("skipped: there is no ../shared/traces beside the checkout");
        return;
    };
    let folder = folder("traces-recorded");
    let expectations: Value = serde_json::from_str(&text).expect("JSON");
    let files = expectations["files"].as_array().expect("a list");
    assert!(files.len() >= 48, "only {} files in the list", files.len());
    for expected in files {
        let name = expected["file"].as_str().expect("a name");
        let file: PathBuf = traces.join(name);
        let reel = folder.join("run.reel");
        let answer = import(&file, &reel);
        for (key, wanted) in [
            ("traces", "trace_count"),
            ("spans", "span_count"),
            ("errors", "error_count"),
            ("services", "services"),
            ("edges", "edges"),
        ] {
            assert_eq!(answer[key], expected[wanted], "{name}: {key}");
        }
        // Documents of logs and metrics are the only items left out, each named.
        let others = expected["encoding"]["non_trace_documents"].as_u64();
        assert_eq!(answer["skipped"].as_u64(), others.or(Some(0)), "{name}");
        let warnings = answer["warnings"].as_array().expect("a list");
        assert!(others.unwrap_or(0) == 0 || !warnings.is_empty(), "{name}");
        every_verb_works(name, &reel, &folder);
    }
}

/// Bytes that are no trace: one sentence with the place, exit code 2, and no reel.
#[test]
fn what_is_no_trace_is_refused_in_one_sentence() {
    let folder = folder("traces-bad");
    let good = std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces/otlp-spec-example.json"),
    )
    .expect("it ships");
    let text = String::from_utf8(good.clone()).expect("UTF-8");
    let wide = |to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<u8>>();
    let packed = gzip(&good);
    let mut flipped = packed.clone();
    flipped[packed.len() / 2] ^= 0xff;
    let bomb = gzip(&vec![b' '; 80 << 20]);
    assert!(bomb.len() < 100_000);
    let reel = folder.join("x.reel");
    for (name, bytes, said) in [
        ("empty.json", Vec::new(), "the file is empty"),
        ("blank.json", b"\r\n \n".to_vec(), "the file is empty"),
        (
            "le.json",
            [vec![0xff, 0xfe], wide(u16::to_le_bytes)].concat(),
            "UTF-16",
        ),
        (
            "be.json",
            [vec![0xfe, 0xff], wide(u16::to_be_bytes)].concat(),
            "UTF-16",
        ),
        ("unmarked.json", wide(u16::to_le_bytes), "UTF-16"),
        (
            "torn.json.gz",
            packed[..packed.len() - 9].to_vec(),
            "cannot be unpacked",
        ),
        ("flipped.json.gz", flipped, "cannot be unpacked"),
        ("twice.json.gz", gzip(&packed), "compressed twice"),
        ("bomb.json.gz", bomb, "as no trace does"),
        ("a.zip", b"PK\x03\x04 and so on".to_vec(), "zip archive"),
        ("cut.json", good[..good.len() / 2].to_vec(), "cut.json:"),
        (
            "deep.json",
            "[".repeat(10_000).into_bytes(),
            "recursion limit",
        ),
        ("words.json", b"no traces today".to_vec(), "words.json:1:"),
        ("other.json", b"{\"a\":1}".to_vec(), "no spans in it"),
    ] {
        let file = folder.join(name);
        std::fs::write(&file, bytes).expect("room on the disk");
        let (file, out) = (file.display().to_string(), reel.display().to_string());
        let (code, answer, error) = json(&["import", &file, "--out", &out]);
        assert_eq!((code, &answer["code"]), (2, &2.into()), "{name}: {error}");
        assert!(error.contains(said), "{name}: {error}");
        assert_eq!(error.lines().count(), 1, "{name}: {error}");
        let place = answer["where"].as_str().expect("a place");
        assert!(place.starts_with(&file), "{name}: {place}");
        assert!(answer["hint"].is_string(), "{name}: {answer}");
        assert!(!reel.exists(), "{name} left a reel");
    }
}

/// The same trace in other clothes is the same trace.
#[test]
fn line_ends_marks_and_compression_make_no_difference() {
    let folder = folder("traces-clothes");
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/traces/otlp-two-requests.jsonl"),
    )
    .expect("it ships");
    let halves = text.len() / 2;
    let plain = import_bytes(&folder, text.as_bytes());
    for clothed in [
        text.replace('\n', "\r\n").into_bytes(),
        format!("\u{feff}{text}").into_bytes(),
        gzip(text.as_bytes()),
        // Two members, as written by programs that add to a file.
        [
            gzip(&text.as_bytes()[..halves]),
            gzip(&text.as_bytes()[halves..]),
        ]
        .concat(),
        format!("[{}]", text.trim().replace('\n', ",")).into_bytes(),
    ] {
        assert_eq!(import_bytes(&folder, &clothed), plain);
    }
}

fn import_bytes(folder: &Path, bytes: &[u8]) -> Value {
    let file = folder.join("traces");
    std::fs::write(&file, bytes).expect("room on the disk");
    import(&file, &folder.join("run.reel"))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory has room");
    encoder.finish().expect("memory has room")
}

/// A consumer that does not name its queue took the message from where its sender put it.
#[test]
fn a_queue_may_be_named_by_the_sender_alone() {
    let folder = folder("traces-sender");
    let span = |id: &str, parent: &str, service: &str, kind: &str, start: u64| {
        let reference = value!([{"refType": "FOLLOWS_FROM", "traceID": "7", "spanID": parent}]);
        value!({"traceID": "7", "spanID": id, "operationName": kind, "startTime": start, "duration": 10,
            "references": if parent.is_empty() { value!([]) } else { reference },
            "process": {"serviceName": service},
            "tags": [{"key": "span.kind", "value": kind},
                {"key": if kind == "producer" { "messaging.destination.name" } else { "x" }, "value": "orders"}]})
    };
    let trace = value!({"traceID": "7", "spans": [span("1", "", "shop", "producer", 100),
        span("2", "1", "mailer", "consumer", 500)]});
    import_bytes(&folder, trace.to_string().as_bytes());
    let reel = folder.join("run.reel").display().to_string();
    let (_, info, _) = json(&["info", &reel]);
    let queues: Vec<&Value> = info["components"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|component| component["kind"] == "queue")
        .map(|component| &component["id"])
        .collect();
    assert_eq!(queues, ["orders"]);
    assert_eq!(info["kinds"]["job-picked-up"], 1);
    let output = flowreel(&["cat", &reel, "--component", "orders", "--kind", "job-added"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("orders"));
}
