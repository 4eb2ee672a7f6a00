//! Bad input without end: random texts, mutated scenarios, random trees of known keys, ten megabytes.
//!
//! Nothing may panic, and every problem has a place inside the text, a sentence and a hint.

use flowreel_engine::kernel::rng::Stream;
use flowreel_engine::scenario::{SCHEMA_JSON, load};
use std::collections::BTreeSet;
use std::fmt::Write;

fn check(text: &str) {
    let Err(error) = load(text, &[]) else {
        return;
    };
    assert!(!error.problems.is_empty());
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in &error.problems {
        let line = problem.line.expect("a line");
        let column = problem.column.expect("a column");
        // The end of the text is a place too.
        assert!((1..=lines.len()).contains(&line), "{problem} in {text:?}");
        let length = lines[line - 1].chars().count();
        assert!((1..=length + 1).contains(&column), "{problem} in {text:?}");
        assert!(
            !problem.message.is_empty() && !problem.hint.is_empty(),
            "{problem}"
        );
        assert!(problem.to_string().len() < 600, "{problem}");
    }
}

/// Examples of the reference, and the scenarios that ship.
fn good() -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let reference = std::fs::read_to_string(format!("{root}/docs/scenario-language.md"));
    let reference = reference.expect("the reference ships");
    let shipped = std::fs::read_to_string(format!("{root}/scenarios/notification.toml"));
    let blocks = reference.split("```toml\n").skip(1);
    let examples = blocks.filter_map(|block| block.split("```").next());
    examples
        .map(str::to_owned)
        .chain([shipped.expect("it ships")])
        .collect()
}

fn pick<'a, T>(list: &'a [T], stream: &mut Stream) -> &'a T {
    let count = u32::try_from(list.len()).expect("short");
    &list[stream.below(count) as usize]
}

#[test]
fn random_bytes_never_panic() {
    let mut stream = Stream::new(1, "fuzz", "bytes");
    for _ in 0..2000 {
        let length = stream.below(300);
        let wide = stream.below(2) == 0;
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                let signs = b"[]{}=.,\"'\n #ab1-\\";
                if wide {
                    stream.next_u64().to_le_bytes()[0]
                } else {
                    *pick(signs, &mut stream)
                }
            })
            .collect();
        check(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn mutated_scenarios_never_panic() {
    let tokens = [
        "0",
        "-1",
        "nan",
        "inf",
        "1e308",
        "9223372036854775807",
        "99999999999999999999",
        "\"\"",
        "\"done\"",
        "[]",
        "{}",
        "[[]]",
        "true",
        "1979-05-27",
        "[[station]]\n",
        "= ",
        ".",
        "\n",
        "\"infinite\"",
        "\u{feff}",
        "é",
        "\"\"\"",
        "'''",
        "\\",
        "id = \"one\"\n",
        "requests = 1\n",
    ];
    let texts = good();
    let mut stream = Stream::new(2, "fuzz", "mutations");
    for _ in 0..3000 {
        let mut chars: Vec<char> = pick(&texts, &mut stream).chars().collect();
        for _ in 0..=stream.below(4) {
            let count = u32::try_from(chars.len()).expect("short");
            let from = stream.below(count + 1) as usize;
            let to = (from + stream.below(12) as usize).min(chars.len());
            let token: Vec<char> = pick(&tokens, &mut stream).chars().collect();
            match stream.below(4) {
                0 => drop(chars.drain(from..to)),
                1 => drop(chars.splice(from..to, token)),
                2 => drop(chars.splice(from..from, token)),
                _ => {
                    let copied: Vec<char> = chars[from..to].to_vec();
                    let at = stream.below(count + 1) as usize;
                    let at = at.min(chars.len());
                    drop(chars.splice(at..at, copied));
                }
            }
        }
        check(&chars.into_iter().collect::<String>());
    }
}

fn words() -> (Vec<String>, Vec<String>) {
    fn walk(json: &serde_json::Value, keys: &mut BTreeSet<String>, texts: &mut BTreeSet<String>) {
        if let Some(map) = json.as_object() {
            for (key, value) in map {
                if key == "properties" {
                    keys.extend(
                        value
                            .as_object()
                            .into_iter()
                            .flatten()
                            .map(|it| it.0.clone()),
                    );
                }
                if key == "const" || key == "enum" {
                    let list = value.as_array().cloned().unwrap_or(vec![value.clone()]);
                    texts.extend(list.iter().filter_map(|it| it.as_str().map(str::to_owned)));
                }
                walk(value, keys, texts);
            }
        }
        for item in json.as_array().into_iter().flatten() {
            walk(item, keys, texts);
        }
    }
    let schema = serde_json::from_str(SCHEMA_JSON).expect("JSON");
    let (mut keys, mut texts) = (BTreeSet::new(), BTreeSet::new());
    walk(&schema, &mut keys, &mut texts);
    texts.extend(["done", "failed", "s0", "s1", "c0", "request", "1s", "5m"].map(str::to_owned));
    (keys.into_iter().collect(), texts.into_iter().collect())
}

fn value(out: &mut String, depth: u32, words: &(Vec<String>, Vec<String>), stream: &mut Stream) {
    let numbers = [
        "0", "1", "2", "0.5", "-1", "1e9", "inf", "nan", "1e-9", "1e300",
    ];
    match stream.below(if depth > 3 { 5 } else { 10 }) {
        0..=2 => out.push_str(pick::<&str>(&numbers, stream)),
        3 => out.push_str(if stream.below(2) == 0 {
            "true"
        } else {
            "false"
        }),
        4 | 5 => write!(out, "\"{}\"", pick(&words.1, stream)).expect("a text"),
        6 => {
            out.push('[');
            for _ in 0..stream.below(4) {
                value(out, depth + 1, words, stream);
                out.push(',');
            }
            out.push(']');
        }
        _ => {
            out.push_str("{ ");
            let mut used = BTreeSet::new();
            for _ in 0..stream.below(6) {
                let key = pick(&words.0, stream);
                if used.insert(key) {
                    let gap = if used.len() > 1 { ", " } else { "" };
                    write!(out, "{gap}{key} = ").expect("a text");
                    value(out, depth + 1, words, stream);
                }
            }
            out.push_str(" }");
        }
    }
}

#[test]
fn random_trees_of_known_keys_never_panic() {
    let words = words();
    let mut stream = Stream::new(3, "fuzz", "trees");
    for _ in 0..3000 {
        let mut text = String::from("schema = 1\nname = \"t\"\nrequests = 10\n");
        for table in [
            "source", "station", "station", "class", "edge", "fault", "slo",
        ] {
            if stream.below(3) == 0 && table != "station" {
                continue;
            }
            let id = if table == "station" { "s" } else { "c" };
            writeln!(text, "[[{table}]]\nid = \"{id}{}\"", stream.below(2)).expect("a text");
            let mut used = BTreeSet::from(["id"]);
            for _ in 0..stream.below(8) {
                let key = pick(&words.0, &mut stream);
                if used.insert(key) {
                    write!(text, "{key} = ").expect("a text");
                    value(&mut text, 0, &words, &mut stream);
                    text.push('\n');
                }
            }
        }
        check(&text);
    }
}

/// Texts of ten megabytes that are hard on a reader; a slow answer is a test that never ends.
#[test]
fn ten_megabytes_get_an_answer() {
    const LENGTH: usize = 10_000_000;
    let fill = |piece: &str| piece.repeat(LENGTH / piece.len());
    let stations = |each: fn(usize) -> String| -> String {
        let mut text = String::from(
            "schema = 1\nname = \"t\"\nrequests = 1\n[[source]]\nid = \"c\"\narrivals = { process = \"poisson\", rate_per_s = 1 }\nto = \"s0\"\n",
        );
        let mut index = 0;
        while text.len() < LENGTH && index < 60_000 {
            text += &each(index);
            index += 1;
        }
        text
    };
    let texts = [
        format!("x = {}", fill("[")),
        format!("x = {}", fill("{ a = ")),
        format!("x{} = 1", fill(".a")),
        format!("[x{}]", fill(".a")),
        format!("x = \"{}", fill("[")),
        fill("x = 1\n"),
        fill("[[station]]\n"),
        fill("[station]\n"),
        fill("[[class]]\nid = \"a\"\n"),
        (0..600_000).fold(String::new(), |text, i| text + &format!("k{i} = {i}\n")),
        format!("x = [{}]", fill("0.5, ")),
        stations(|i| {
            format!(
                "[[station]]\nid = \"s{i}\"\nservice = {{ dist = \"exponential\", mean_s = 1 }}\nnext = \"s{}\"\n",
                i + 1
            )
        }),
        stations(|i| {
            format!(
                "[[station]]\nid = \"s{i}\"\nservice = {{ dist = \"deterministic\", mean_s = 0 }}\nnext = \"s{}\"\n",
                (i + 1) % 60_000
            )
        }),
        stations(|i| {
            format!(
                "[[station]]\nid = \"s{i}\"\nservice = {{ dist = \"exponential\", mean_s = 1 }}\nnext = \"zz{i}\"\nsevers = 1\n"
            )
        }),
    ];
    for text in texts {
        let error = load(&text, &[]).map(|_| ()).expect_err("refused");
        assert!(error.problems.len() <= 1000);
        assert!(
            error
                .problems
                .iter()
                .all(|it| it.line.is_some() && !it.hint.is_empty())
        );
    }
}
