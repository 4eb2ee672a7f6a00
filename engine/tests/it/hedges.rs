//! Hedges: who is asked when, and cancelling the slower one wherever it is.

use crate::joins::{expect_later, source, story, takes};

fn hedged(after_s: &str) -> String {
    source(
        "u",
        &format!("{{ hedge = [\"a\", \"b\"], after_s = {after_s} }}"),
    )
}

#[test]
fn the_second_is_asked_only_where_the_first_is_silent() {
    // An answer at the very moment is one.
    expect_later(
        &[
            hedged("0.05"),
            takes("a", "0.05", ""),
            takes("b", "0.1", ""),
        ],
        &[
            "50 a end 1.1 ok",
            "50 a part 1.1 ok",
            "50 a part 1.0 ok",
            "50 a over 1.0 ok",
        ],
    );
    expect_later(
        &[hedged("0.05"), takes("a", "0.3", ""), takes("b", "0.1", "")],
        &[
            "50 u>b go 1.2",
            "50 b>u in 1.2",
            "50 b start 1.2",
            "150 b end 1.2 ok",
            "150 b part 1.2 ok",
            "150 a end 1.1 cancelled",
            "150 a part 1.1 cancelled",
            "150 b part 1.0 ok",
            "150 b over 1.0 ok",
        ],
    );
}

#[test]
fn a_failure_is_no_answer_and_two_fail_the_request() {
    let fails = "failure = { probability = 1.0 }";
    expect_later(
        &[
            hedged("0.05"),
            takes("a", "0.01", fails),
            takes("b", "0.1", ""),
        ],
        &[
            "10 a end 1.1 failed",
            "10 a part 1.1 failed",
            "50 u>b go 1.2",
            "50 b>u in 1.2",
            "50 b start 1.2",
            "150 b end 1.2 ok",
            "150 b part 1.2 ok",
            "150 b part 1.0 ok",
            "150 b over 1.0 ok",
        ],
    );
    let both = story(&[
        hedged("0.05"),
        takes("a", "0.01", fails),
        takes("b", "0.1", fails),
    ]);
    assert_eq!(
        both.last().map(String::as_str),
        Some("150 b over 1.0 failed")
    );
}

#[test]
fn a_server_set_free_by_cancelling_takes_the_next_at_once() {
    expect_later(
        &[
            hedged("0.0"),
            source("w", "\"a\""),
            takes("a", "0.3", ""),
            takes("b", "0.1", ""),
        ],
        &[
            "100 b end 1.2 ok",
            "100 b part 1.2 ok",
            "100 a end 1.1 cancelled",
            "100 a part 1.1 cancelled",
            "100 b part 1.0 ok",
            "100 b over 1.0 ok",
            "100 a start 2.0",
            "400 a end 2.0 ok",
            "400 a part 2.0 ok",
            "400 a over 2.0 ok",
        ],
    );
}

/// The hedge of request 2 answers at 100 ms at b; what is told of its other part.
fn cancelled(busy: &str, stations: &[String]) -> Vec<String> {
    let mut parts = vec![source("w", busy), hedged("0.0"), takes("b", "0.1", "")];
    parts.extend_from_slice(stations);
    let mut lines = story(&parts);
    lines.retain(|line| line.contains(" 2.1"));
    let from = lines.iter().position(|line| line.starts_with("100 "));
    lines.split_off(from.expect("it was cancelled"))
}

#[test]
fn a_part_in_a_line_leaves_it() {
    let ends = ["100 a abandoned 2.1 cancelled", "100 a part 2.1 cancelled"];
    assert_eq!(cancelled("\"a\"", &[takes("a", "0.3", "")]), ends);
    // Waiting for a token, not for a server.
    let limited = takes("a", "0.01", "rate_limit = { per_s = 1.0, burst = 1 }");
    assert_eq!(cancelled("\"a\"", &[limited]), ends);
    let patient = takes(
        "a",
        "0.3",
        "patience = { dist = \"deterministic\", mean_s = 0.2 }",
    );
    assert_eq!(cancelled("\"a\"", &[patient]), ends);
}

#[test]
fn a_part_on_its_way_never_arrives() {
    let edge = "[[edge]]\nfrom = \"u\"\nto = \"a\"\ntransit = { dist = \"deterministic\", mean_s = 1.0 }\n";
    let stations = [
        takes("a", "0.3", ""),
        takes("other", "0.1", ""),
        edge.to_owned(),
    ];
    assert_eq!(
        cancelled("\"other\"", &stations),
        ["100 u part 2.1 cancelled"]
    );
}

#[test]
fn a_parked_part_does_not_come_back() {
    let stations = [
        takes(
            "a",
            "0.01",
            "failure = { probability = 1.0 }\n\
             on_failure = { retry = [ { delay_s = 1.0, via = \"pause\" } ], then = \"failed\" }",
        ),
        "[[station]]\nid = \"pause\"\nkind = \"delay\"\n".to_owned(),
        takes("other", "0.1", ""),
    ];
    assert_eq!(
        cancelled("\"other\"", &stations),
        [
            "100 pause end 2.1 cancelled",
            "100 pause part 2.1 cancelled"
        ]
    );
}

#[test]
fn a_chain_of_calls_unwinds_from_within() {
    let chain = [
        takes("a", "0.01", "calls = \"d\""),
        takes("d", "0.01", "calls = \"e\""),
        takes("e", "0.5", ""),
        takes("other", "0.1", ""),
    ];
    let callers = [
        "100 d end 2.1 cancelled",
        "100 a end 2.1 cancelled",
        "100 a part 2.1 cancelled",
    ];
    let served = cancelled("\"other\"", &chain);
    assert_eq!(served[0], "100 e end 2.1 cancelled");
    assert_eq!(served[1..], callers);
    let waiting = cancelled("\"e\"", &chain);
    assert_eq!(waiting[0], "100 e abandoned 2.1 cancelled");
    assert_eq!(waiting[1..], callers);
}

#[test]
fn a_job_leaves_its_queue_or_its_worker() {
    let queue = "[[station]]\nid = \"a\"\nkind = \"queue\"\nnext = \"worker\"\n".to_owned();
    let stations = [
        queue,
        takes("worker", "0.3", "kind = \"worker\""),
        takes("other", "0.1", ""),
    ];
    assert_eq!(
        cancelled("\"a\"", &stations),
        ["100 a abandoned 2.1 cancelled", "100 a part 2.1 cancelled"]
    );
    assert_eq!(
        cancelled("\"other\"", &stations),
        [
            "100 worker end 2.1 cancelled",
            "100 worker part 2.1 cancelled"
        ]
    );
}

#[test]
fn parts_of_a_part_are_cancelled_with_it() {
    expect_later(
        &[
            hedged("0.0"),
            takes(
                "a",
                "0.01",
                "calls = { fork = [\"x\", \"y\"], join = \"done\" }",
            ),
            takes("b", "0.1", ""),
            takes("x", "0.5", ""),
            takes("y", "0.05", "next = \"x\""),
        ],
        &[
            "10 a>x go 1.3",
            "10 x>a in 1.3",
            "10 x start 1.3",
            "10 a>y go 1.4",
            "10 y>a in 1.4",
            "10 y start 1.4",
            "60 y end 1.4 ok",
            "60 y>x go 1.4",
            "60 x>y in 1.4",
            "100 b end 1.2 ok",
            "100 b part 1.2 ok",
            "100 x end 1.3 cancelled",
            "100 x part 1.3 cancelled",
            "100 x abandoned 1.4 cancelled",
            "100 x part 1.4 cancelled",
            "100 a end 1.1 cancelled",
            "100 a part 1.1 cancelled",
            "100 b part 1.0 ok",
            "100 b over 1.0 ok",
        ],
    );
}

#[test]
fn three_are_asked_one_after_the_other_and_meet_at_the_join() {
    let to = "{ hedge = [\"a\", \"a\", \"b\"], after_s = 0.1, join = \"c\" }";
    expect_later(
        &[
            source("u", to),
            takes("a", "1.0", "next = \"c\""),
            takes("b", "0.1", "next = \"c\""),
            takes("c", "0.1", ""),
        ],
        &[
            "100 u>a go 1.2",
            "100 a>u in 1.2",
            "200 u>b go 1.3",
            "200 b>u in 1.3",
            "200 b start 1.3",
            "300 b end 1.3 ok",
            "300 b>c go 1.3",
            "300 c part 1.3 ok",
            "300 a end 1.1 cancelled",
            "300 a part 1.1 cancelled",
            "300 a abandoned 1.2 cancelled",
            "300 a part 1.2 cancelled",
            "300 c in 1.0",
            "300 c start 1.0",
            "400 c end 1.0 ok",
            "400 c part 1.0 ok",
            "400 c over 1.0 ok",
        ],
    );
}
