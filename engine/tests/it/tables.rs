//! Parquet: the rows are the events, in groups of bounded size; other formats stay small while they grow.

use crate::cli::{folder, json};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::File;
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

fn read(path: &Path) -> SerializedFileReader<File> {
    SerializedFileReader::new(File::open(path).expect("readable")).expect("Parquet")
}

fn about(reader: &SerializedFileReader<File>) -> BTreeMap<String, String> {
    let pairs = reader.metadata().file_metadata().key_value_metadata();
    let pairs = pairs.expect("the file says where it comes from");
    pairs
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
        .collect()
}

/// A row as the object that `--format jsonl` writes for the event.
fn as_line(row: &parquet::record::Row) -> Value {
    let mut line = Map::new();
    for (name, field) in row.get_column_iter() {
        let value = match field {
            Field::Null => continue,
            // The wall clock says nothing new, see below.
            _ if name == "wall_clock" => continue,
            Field::ULong(number) if name == "request" => number.to_string().into(),
            Field::ULong(number) => (*number).into(),
            Field::UShort(number) => (*number).into(),
            Field::Str(text) => text.clone().into(),
            Field::MapInternal(map) => {
                let facts = map.entries().iter().map(|(key, value)| match (key, value) {
                    (Field::Str(key), Field::Str(value)) => (key.clone(), value.clone().into()),
                    other => unreachable!("no fact: {other:?}"),
                });
                Value::Object(facts.collect())
            }
            other => unreachable!("{name} is {other:?}"),
        };
        line.insert(name.clone(), value);
    }
    Value::Object(line)
}

#[test]
fn a_parquet_file_holds_every_event_as_it_is() {
    let folder = folder("parquet");
    for name in [
        "retry-ladder.reel",
        "smtp-refuses.reel",
        "media-review.reel",
    ] {
        let reel = shipped(name);
        let (rows, lines) = (folder.join("rows.parquet"), folder.join("rows.jsonl"));
        assert_eq!(
            export(&reel, "parquet", &rows)["items"],
            export(&reel, "jsonl", &lines)["items"]
        );
        let reader = read(&rows);
        let (_, info, _) = json(&["info", &reel]);
        let about = about(&reader);
        assert_eq!(info["run_id"], about["flowreel.run_id"].as_str());
        assert_eq!(info["final_hash"], about["flowreel.final_hash"].as_str());
        assert_eq!(about["flowreel.format_version"], "1.0");
        let lines = std::fs::read_to_string(&lines).expect("UTF-8");
        let mut lines = lines.lines();
        for row in reader.get_row_iter(None).expect("rows") {
            let line = lines.next().expect("as many lines as rows");
            let event: Value = serde_json::from_str(line).expect("an object");
            assert_eq!(as_line(&row.expect("a row")), event, "{name}");
        }
        assert_eq!(lines.next(), None, "{name}");
    }
}

#[test]
fn rows_come_in_groups_of_bounded_size() {
    let folder = folder("parquet-groups");
    let reel = folder.join("long.reel").display().to_string();
    let scenario = format!(
        "{}/../scenarios/notification.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let arguments = ["simulate", &scenario, "--duration", "45m", "--out", &reel];
    assert!(json(&arguments).0 < 2);
    let rows = folder.join("long.parquet");
    let events = export(&reel, "parquet", &rows)["items"].clone();
    let reader = read(&rows);
    let groups = reader.metadata().row_groups();
    assert!(groups.len() > 1, "{events} events, {} group", groups.len());
    let counts: Vec<i64> = groups.iter().map(|group| group.num_rows()).collect();
    assert_eq!(events, counts.iter().sum::<i64>());
    let (last, whole) = counts.split_last().expect("there is one");
    assert!(whole.iter().all(|count| *count == 122_880), "{counts:?}");
    assert!(*last > 0, "{counts:?}");
    // What a reader needs to leave groups out: least and largest of the times.
    let times = groups[1].column(0).statistics().expect("statistics");
    assert!(times.min_bytes_opt().is_some() && times.max_bytes_opt().is_some());
}

#[test]
fn a_run_with_a_wall_clock_has_a_column_for_it() {
    let folder = folder("parquet-clock");
    for (name, has_clock) in [("smtp-refuses.reel", true), ("retry-ladder.reel", false)] {
        let rows = folder.join("rows.parquet");
        export(&shipped(name), "parquet", &rows);
        let reader = read(&rows);
        let schema = reader.metadata().file_metadata().schema_descr();
        let columns: Vec<&str> = schema.columns().iter().map(|it| it.name()).collect();
        assert_eq!(columns.contains(&"wall_clock"), has_clock, "{columns:?}");
    }
}
