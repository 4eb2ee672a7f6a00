//! Scenarios on the command line: unreadable files, files beside a scenario, the schema.

use crate::cli::{folder, json};
use std::fs;
use std::path::Path;

fn write(folder: &Path, name: &str, bytes: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("a file can be written");
    path.display().to_string()
}

const TRACED: &str = "schema = 1\nname = \"traced\"\nduration = \"1m\"\n[[source]]\nid = \"c\"\narrivals = { process = \"trace\", file = \"times.txt\" }\nto = \"s\"\n[[station]]\nid = \"s\"\nservice = { dist = \"empirical\", file = \"samples.txt\" }\n";

#[test]
fn what_is_no_scenario_is_refused_with_its_place() {
    let folder = folder("unreadable");
    let broken = write(&folder, "latin.toml", b"schema = 1\nname = \"caf\xe9\"\n");
    let missing = folder.join("none.toml").display().to_string();
    let whole = folder.display().to_string();
    for (path, place, words) in [
        (&broken, format!("{broken}:2:12"), "not UTF-8"),
        (&missing, missing.clone(), "no such file"),
        (&whole, whole.clone(), "a folder"),
    ] {
        for verb in ["check", "simulate"] {
            let (code, answer, said) = json(&[verb, path]);
            assert_eq!(code, 2, "{answer}");
            assert_eq!(answer["where"], place);
            assert!(said.contains(words) && answer["hint"].is_string(), "{said}");
        }
    }
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing() {
    let folder = folder("line-ends");
    let text = TRACED.replace("file = \"times.txt\"", "at_s = [1]");
    let text = text.replace("file = \"samples.txt\"", "values_s = [1]");
    let plain = write(&folder, "plain.toml", &text);
    let other = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let other = write(&folder, "other.toml", other);
    let hash = |path: &str| json(&["simulate", path]).1["run_hash"].clone();
    assert!(hash(&plain).is_string());
    assert_eq!(hash(&plain), hash(&other));
    let wrong = format!(
        "\u{feff}{}",
        text.replace("schema = 1\n", "schema = 1\r\nschem = 2\r\n")
    );
    let wrong = write(&folder, "wrong.toml", wrong);
    let (code, answer, _) = json(&["check", &wrong]);
    assert_eq!(code, 2);
    let first = &answer["problems"][0];
    assert_eq!((&first["line"], &first["column"]), (&2.into(), &1.into()));
}

#[test]
fn a_reel_holds_what_the_files_said() {
    let folder = folder("traced");
    let scenario = write(&folder, "traced.toml", TRACED);
    let (code, answer, _) = json(&["check", &scenario]);
    assert_eq!(
        (code, answer["problems"].as_array().map(Vec::len)),
        (2, Some(2))
    );
    assert_eq!(answer["problems"][0]["line"], 6);
    let times = write(&folder, "times.txt", "1\n2\n2.5\n");
    write(&folder, "samples.txt", "0.25\n0.5\n");
    let reel = folder.join("run.reel").display().to_string();
    let (code, answer, said) = json(&["simulate", &scenario, "--out", &reel]);
    assert_eq!(
        (code, &answer["requests"]["completed"]),
        (0, &3.into()),
        "{said}"
    );
    fs::remove_file(&times).expect("it is there");
    let (code, verified, _) = json(&["verify", &reel, "--resimulate"]);
    assert_eq!((code, &verified["holds"]), (0, &true.into()));
    assert_eq!(verified["resimulated_hash"], answer["run_hash"]);
    let (code, answer, said) = json(&["simulate", &scenario]);
    assert_eq!(code, 2);
    assert_eq!(answer["where"], format!("{scenario}:6:40"));
    assert!(
        said.contains("cannot read `times.txt`: there is no such file"),
        "{said}"
    );
}

#[test]
fn the_schema_is_printed_as_it_is_and_as_an_answer() {
    let (code, answer, _) = json(&["schema"]);
    assert_eq!((code, &answer["schema"]), (0, &"flowreel.schema/1".into()));
    let whole: serde_json::Value =
        serde_json::from_str(flowreel_engine::scenario::SCHEMA_JSON).expect("JSON");
    assert_eq!(answer["json_schema"], whole);
    assert_eq!(
        whole["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}
