//! Lists of requests: conditions mean for a real reel what its events say, mistakes show their place.

use crate::cli::{flowreel, folder, json};
use serde_json::Value;
use std::collections::BTreeSet;

fn shipped(name: &str) -> String {
    format!("{}/../recordings/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Numbers of the requests that fit.
fn ids(reel: &str, condition: &str) -> BTreeSet<String> {
    let (code, answer, error) = json(&["requests", reel, "--where", condition]);
    assert_eq!(code, 0, "{condition}: {error}");
    let rows = answer["requests"].as_array().expect("a list");
    assert_eq!(answer["count"], rows.len());
    rows.iter()
        .map(|row| row["id"].as_str().expect("a text").to_owned())
        .collect()
}

fn rows(reel: &str, rest: &[&str]) -> Vec<Value> {
    let (code, answer, error) = json(&[&["requests", reel], rest].concat());
    assert_eq!(code, 0, "{rest:?}: {error}");
    answer["requests"].as_array().expect("a list").clone()
}

#[test]
fn rows_say_what_the_journeys_say() {
    for name in ["smtp-refuses.reel", "retry-ladder.reel"] {
        let reel = shipped(name);
        for row in rows(&reel, &[]).iter().step_by(9) {
            let id = row["id"].as_str().expect("a text");
            let (_, journey, _) = json(&["request", &reel, id]);
            for key in ["outcome", "attempts", "sojourn_s", "class"] {
                assert_eq!(row[key], journey[key], "{name} {id} {key}");
            }
            for key in ["waiting_s", "service_s"] {
                let row = row[key].as_f64().expect("a number");
                let journey = journey[key].as_f64().expect("a number");
                assert!(
                    (row - journey).abs() < 1e-6,
                    "{name} {id} {key}: {row} {journey}"
                );
            }
            let stages = journey["stages"].as_array().expect("a list");
            let parts = stages.iter().map(|stage| stage["part"].as_u64());
            let last = parts.max().flatten().expect("stages with their parts");
            assert_eq!(row["parts"], last + 1, "{name} {id}");
        }
    }
}

#[test]
fn conditions_choose_what_the_events_say() {
    let reel = shipped("smtp-refuses.reel");
    let events = |arguments: &[&str]| -> BTreeSet<String> {
        let (_, answer, _) = json(&[&["cat", &reel], arguments].concat());
        let events = answer["events"].as_array().expect("a list").clone();
        let own = events.iter().filter_map(|event| event["request"].as_str());
        own.map(str::to_owned).collect()
    };
    let all = ids(&reel, "id > 0");
    assert_eq!(
        ids(&reel, "retries > 0"),
        events(&["--kind", "retry-scheduled"])
    );
    assert_eq!(
        ids(&reel, r#"visited "dlq""#),
        events(&["--kind", "job-dead-lettered"])
    );
    let (_, answer, _) = json(&["cat", &reel, "--component", "smtp", "--kind", "arrived"]);
    let at_smtp: BTreeSet<String> = answer["events"]
        .as_array()
        .expect("a list")
        .iter()
        .filter(|event| event["component"] == "smtp")
        .filter_map(|event| event["request"].as_str().map(str::to_owned))
        .collect();
    assert!(!at_smtp.is_empty());
    assert_eq!(ids(&reel, r#"component == "smtp""#), at_smtp);
    let away = ids(&reel, r#"component != "smtp""#);
    assert!(away.is_disjoint(&at_smtp) && away.len() + at_smtp.len() == all.len());
    let bounced = events(&["--kind", "email-bounced"]);
    let failed = ids(&reel, r#"failed_at in ["smtp", "mail-worker"]"#);
    assert!(
        !bounced.is_empty() && bounced.is_subset(&failed),
        "{failed:?}"
    );
    // The same asked in several ways.
    for (one, other) in [
        ("sojourn_s > 250ms", "sojourn_s > 0.25"),
        (
            "not sojourn_s > 1s",
            "sojourn_s <= 1 or outcome == \"in-flight\"",
        ),
        (r#"class like "log*""#, r#"class in ["login"]"#),
        (r#"class not in ["login"]"#, r#"class != "login""#),
        (
            r#"path == "email" and path == "in-app""#,
            r#"not (path != "email" or path != "in-app")"#,
        ),
        (
            "begun_s < 5s and begun_s >= 1s",
            "not (begun_s >= 5 or begun_s < 1000ms)",
        ),
    ] {
        let found = ids(&reel, one);
        assert_eq!(found, ids(&reel, other), "{one}");
        assert!(
            !found.is_empty() && found.len() < all.len(),
            "{one}: {}",
            found.len()
        );
    }
}

#[test]
fn rows_are_sorted_and_cut_as_asked() {
    let reel = shipped("smtp-refuses.reel");
    let numbers = |rest: &[&str], key: &str| -> Vec<f64> {
        let rows = rows(&reel, rest);
        rows.iter().filter_map(|row| row[key].as_f64()).collect()
    };
    for (order, key, falls) in [
        ("sojourn", "sojourn_s", true),
        ("-sojourn", "sojourn_s", true),
        ("+sojourn_s", "sojourn_s", false),
        ("waiting", "waiting_s", true),
        ("retries", "retries", true),
        ("begun", "begun_t_ns", false),
        ("-begun", "begun_t_ns", true),
    ] {
        let sorted = numbers(&["--sort", order], key);
        assert!(sorted.len() > 50, "{order}");
        let is_sorted = sorted.is_sorted_by(|a, b| if falls { a >= b } else { a <= b });
        assert!(is_sorted, "{order}: {sorted:?}");
    }
    let (_, cut, _) = json(&["requests", &reel, "--sort", "sojourn", "--limit", "3"]);
    let whole = rows(&reel, &["--sort", "sojourn"]);
    assert_eq!(cut["requests"].as_array().expect("a list")[..], whole[..3]);
    assert_eq!(cut["count"], whole.len());
    assert!(rows(&reel, &["--limit", "0"]).is_empty());
    let (code, refused, error) = json(&["requests", &reel, "--sort", "sojurn"]);
    assert_eq!(code, 2, "{refused}");
    assert!(error.contains("did you mean `sojourn`?"), "{error}");
}

#[test]
fn a_mistake_is_shown_where_it_stands() {
    let reel = shipped("media-review.reel");
    let folder = folder("where-mistake");
    let out = folder.join("x.reel").display().to_string();
    for verb in [
        &["requests", reel.as_str(), "--where", "class = \"x\""][..],
        &[
            "slice",
            reel.as_str(),
            "--out",
            &out,
            "--where",
            "class = \"x\"",
        ],
    ] {
        let output = flowreel(verb);
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        assert_eq!(
            String::from_utf8(output.stderr).expect("UTF-8"),
            "flowreel: column 7: `=` is no comparison; use == (also != < <= > >=)\n\
             class = \"x\"\n      ^\n"
        );
        let (code, refused, _) = json(verb);
        assert_eq!((code, &refused["code"]), (2, &2.into()));
        assert_eq!(refused["where"], "--where: column 7");
        let sentence = refused["error"].as_str().expect("a text");
        assert!(sentence.starts_with("column 7: "), "{sentence}");
    }
    assert!(!folder.join("x.reel").exists());
}

#[test]
fn a_condition_cuts_whole_journeys_out_of_a_reel() {
    let folder = folder("slice-where");
    let reel = shipped("smtp-refuses.reel");
    let piece = folder.join("failed.reel").display().to_string();
    let condition = r#"retries > 0 and visited "smtp""#;
    let arguments = ["slice", &reel, "--where", condition, "--out", &piece];
    let (code, answer, error) = json(&arguments);
    assert_eq!(code, 0, "{error}");
    let chosen = ids(&reel, condition);
    assert_eq!(answer["requests"], chosen.len());
    assert_eq!(ids(&piece, "id > 0"), chosen);
    let (_, verified, _) = json(&["verify", &piece]);
    assert_eq!(verified["holds"], true);
    let (_, info, _) = json(&["info", &piece]);
    assert_eq!(info["notes"]["chosen"], format!("where {condition}"));
    let (code, _, error) = json(&["slice", &reel, "--where", "id < 0", "--out", &out(&folder)]);
    assert_eq!(code, 2);
    assert!(error.contains("no event fits"), "{error}");
}

fn out(folder: &std::path::Path) -> String {
    folder.join("nothing.reel").display().to_string()
}

#[test]
fn cat_takes_wall_clocks_and_names_the_nearest_name() {
    let reel = shipped("smtp-refuses.reel");
    let events = |rest: &[&str]| {
        let (code, answer, error) = json(&[&["cat", &reel], rest].concat());
        assert_eq!(code, 0, "{error}");
        answer["events"].as_array().expect("a list").clone()
    };
    let (_, info, _) = json(&["info", &reel]);
    assert_eq!(info["started_at"], "2026-11-21T12:42:07.831667822Z");
    let by_clock = [
        "--from",
        "2026-11-21T12:42:18Z",
        "--to",
        "2026-11-21T12:42:18.5Z",
    ];
    let by_time = ["--from", "10168332178ns", "--to", "10668332178ns"];
    let found = events(&by_clock);
    assert!(!found.is_empty());
    assert_eq!(found, events(&by_time));
    // Every filter must fit.
    let rest = [
        "--request",
        "5",
        "--component",
        "in-app-worker",
        "--kind",
        "job-failed",
    ];
    let found = events(&rest);
    assert!(!found.is_empty());
    assert!(found.iter().all(|event| {
        event["request"] == "5"
            && event["component"] == "in-app-worker"
            && event["kind"] == "job-failed"
    }));
    for (rest, said) in [
        (["--component", "smpt"], "did you mean `smtp`?"),
        (["--kind", "email-bounce"], "did you mean `email-bounced`?"),
        (["--from", "2026-11-20T00:00:00Z"], "before the run's start"),
        (["--format", "jsnl"], "jsonl"),
    ] {
        let (code, _, error) = json(&[&["cat", &reel], &rest[..]].concat());
        assert_eq!((code, error.lines().count()), (2, 1), "{error}");
        assert!(error.contains(said), "{error}");
    }
}
