//! Forks, hedges and cancelling: every event at its time, by hand.
//!
//! Users think for 50 s, ask once, and the run ends before they ask again. All times are fixed, so each
//! sequence can be written down; every stream keeps the invariants, and at the end nothing is open.

use flowreel_engine::kernel::{EventSink, run};
use flowreel_engine::model::check::StreamCheck;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::scenario::load;

const ASKED_MS: u64 = 50_000;

pub(crate) fn source(id: &str, to: &str) -> String {
    format!(
        "[[source]]\nid = \"{id}\"\narrivals = {{ process = \"closed\", users = 1, \
         think = {{ dist = \"deterministic\", mean_s = 50.0 }} }}\nto = {to}\n"
    )
}

/// A station that takes so many seconds.
pub(crate) fn takes(id: &str, mean_s: &str, rest: &str) -> String {
    format!(
        "[[station]]\nid = \"{id}\"\nservice = {{ dist = \"deterministic\", mean_s = {mean_s} }}\n{rest}\n"
    )
}

/// What happened after asking: `ms component>peer what part outcome`.
pub(crate) fn story(parts: &[String]) -> Vec<String> {
    let text = format!(
        "schema = 1\nname = \"joins\"\nduration = \"99s\"\n{}",
        parts.concat()
    );
    let scenario = load(&text, &[]).expect("valid");
    let names = &scenario.topology.components;
    let mut check = StreamCheck::new(&scenario.topology);
    let mut lines = Vec::new();
    let mut broken = None;
    let mut sink = EventSink(|event: &StageEvent| {
        if let Err(violation) = check.apply(event) {
            broken.get_or_insert(violation);
        }
        let what = match event.kind {
            EventKind::RequestBegun => "begin",
            EventKind::Forwarded => "go",
            EventKind::Arrived => "in",
            EventKind::ServiceStarted => "start",
            EventKind::ServiceEnded => "end",
            EventKind::PartFinished => "part",
            EventKind::RequestFinished => "over",
            other => other.name(),
        };
        let peer = if event.peer.is_some() {
            format!(">{}", names[event.peer.index()].id)
        } else {
            String::new()
        };
        let outcome = match event.outcome {
            Outcome::None => String::new(),
            outcome => format!(" {}", outcome.name()),
        };
        lines.push(format!(
            "{} {}{peer} {what} {}.{}{outcome}",
            event.t_ns.0 / 1_000_000 - ASKED_MS,
            names[event.component.index()].id,
            event.request.0,
            event.part.0
        ));
    });
    run(&scenario, 1, &mut sink).expect("the run ends");
    assert_eq!(broken, None, "{lines:#?}");
    check.check_levels().expect("levels add up");
    let state = check.state();
    assert_eq!(state.requests().in_flight, 0, "{lines:#?}");
    assert_eq!(state.visits(), [], "{lines:#?}");
    assert_eq!(state.anomalies().total(), 0);
    lines
}

fn expect(parts: &[String], expected: &[&str]) {
    let lines = story(parts);
    assert_eq!(lines, expected, "{lines:#?}");
}

/// The lines after those of the first moment.
pub(crate) fn expect_later(parts: &[String], expected: &[&str]) {
    let mut lines = story(parts);
    lines.retain(|line| !line.starts_with("0 "));
    assert_eq!(lines, expected, "{lines:#?}");
}

const TO_C: &str = "next = \"c\"";

#[test]
fn parts_wait_for_each_other_and_go_on_as_one() {
    expect(
        &[
            source("u", "{ fork = [\"a\", \"b\"], join = \"c\" }"),
            takes("a", "0.2", TO_C),
            takes("b", "0.3", TO_C),
            takes("c", "0.1", ""),
            "[[edge]]\nfrom = \"a\"\nto = \"c\"\ntransit = { dist = \"deterministic\", mean_s = 0.05 }\n"
                .to_owned(),
        ],
        &[
            "0 u begin 1.0",
            "0 u>a go 1.1",
            "0 a>u in 1.1",
            "0 a start 1.1",
            "0 u>b go 1.2",
            "0 b>u in 1.2",
            "0 b start 1.2",
            "200 a end 1.1 ok",
            "200 a>c go 1.1",
            "250 c part 1.1 ok",
            "300 b end 1.2 ok",
            "300 b>c go 1.2",
            "300 c part 1.2 ok",
            "300 c in 1.0",
            "300 c start 1.0",
            "400 c end 1.0 ok",
            "400 c part 1.0 ok",
            "400 c over 1.0 ok",
        ],
    );
}

#[test]
fn a_part_that_fails_fails_the_request_when_the_others_are_home() {
    let fails = "failure = { probability = 1.0 }\nnext = \"c\"";
    expect_later(
        &[
            source("u", "{ fork = [\"a\", \"b\"], join = \"c\" }"),
            takes("a", "0.2", fails),
            takes("b", "0.3", TO_C),
            takes("c", "0.1", ""),
        ],
        &[
            "200 a end 1.1 failed",
            "200 a part 1.1 failed",
            "300 b end 1.2 ok",
            "300 b>c go 1.2",
            "300 c part 1.2 ok",
            "300 c part 1.0 failed",
            "300 c over 1.0 failed",
        ],
    );
    // Refused at the door while the other part is still to be sent.
    expect_later(
        &[
            source("u", "{ fork = [\"a\", \"a\"], join = \"done\" }"),
            takes("a", "0.2", "capacity = 1"),
        ],
        &[
            "200 a end 1.1 ok",
            "200 a part 1.1 ok",
            "200 a part 1.0 rejected",
            "200 a over 1.0 rejected",
        ],
    );
}

#[test]
fn a_quorum_goes_on_without_the_rest() {
    expect_later(
        &[
            source(
                "u",
                "{ fork = [\"s\"], copies = 3, wait_for = 2, join = \"done\" }",
            ),
            takes("s", "0.1", "next = \"z\""),
            takes("z", "0.1", ""),
        ],
        &[
            "100 s end 1.1 ok",
            "100 s>z go 1.1",
            "100 z>s in 1.1",
            "100 z start 1.1",
            "100 s start 1.2",
            "200 z end 1.1 ok",
            "200 z part 1.1 ok",
            "200 s end 1.2 ok",
            "200 s>z go 1.2",
            "200 z>s in 1.2",
            "200 z start 1.2",
            "200 s start 1.3",
            "300 z end 1.2 ok",
            "300 z part 1.2 ok",
            "300 z part 1.0 ok",
            "300 z over 1.0 ok",
            "300 s end 1.3 ok",
            "300 s>z go 1.3",
            "300 z>s in 1.3",
            "300 z start 1.3",
            "400 z end 1.3 ok",
            "400 z part 1.3 ok",
        ],
    );
}

#[test]
fn a_quorum_bears_a_failure_and_two_are_too_many() {
    let fails = "failure = { probability = 1.0 }";
    let fork = "{ fork = [\"a\", \"b\", \"c\"], wait_for = 2, join = \"done\" }";
    let one = [
        source("u", fork),
        takes("a", "0.1", fails),
        takes("b", "0.2", ""),
        takes("c", "0.3", ""),
    ];
    let lines = story(&one);
    assert_eq!(lines.last().map(String::as_str), Some("300 c over 1.0 ok"));
    let two = [
        source("u", fork),
        takes("a", "0.1", fails),
        takes("b", "0.2", fails),
        takes("c", "0.3", ""),
    ];
    let lines = story(&two);
    assert_eq!(
        lines.last().map(String::as_str),
        Some("300 c over 1.0 failed")
    );
}

#[test]
fn a_branch_may_copy_fork_and_retry() {
    expect_later(
        &[
            source("u", "{ fork = [\"a\", \"b\"], join = \"c\" }"),
            takes("a", "0.1", "next = { copy = [\"x\", \"y\"] }"),
            takes(
                "b",
                "0.1",
                "failure = { probability = 1.0 }\n\
                 on_failure = { retry = [ { delay_s = 0.2, via = \"pause\" } ], then = \"c\" }",
            ),
            takes("x", "0.05", TO_C),
            takes("y", "0.1", "next = { fork = [\"v\", \"w\"], join = \"c\" }"),
            takes("v", "0.05", ""),
            takes("w", "0.1", TO_C),
            takes("c", "0.1", ""),
            "[[station]]\nid = \"pause\"\nkind = \"delay\"\n".to_owned(),
        ],
        &[
            "100 a end 1.1 ok",
            "100 a>x go 1.3",
            "100 x>a in 1.3",
            "100 x start 1.3",
            "100 a>y go 1.4",
            "100 y>a in 1.4",
            "100 y start 1.4",
            "100 b end 1.2 failed",
            "100 b>pause retry-scheduled 1.2",
            "100 b>pause go 1.2",
            "100 pause>b job-delayed 1.2",
            "150 x end 1.3 ok",
            "150 x>c go 1.3",
            "150 c part 1.3 ok",
            "200 y end 1.4 ok",
            "200 y>v go 1.5",
            "200 v>y in 1.5",
            "200 v start 1.5",
            "200 y>w go 1.6",
            "200 w>y in 1.6",
            "200 w start 1.6",
            "250 v end 1.5 ok",
            "250 v part 1.5 ok",
            "300 pause end 1.2 ok",
            "300 pause>b go 1.2",
            "300 b>pause in 1.2",
            "300 b start 1.2",
            "300 w end 1.6 ok",
            "300 w>c go 1.6",
            "300 c part 1.6 ok",
            "300 c part 1.4 ok",
            "300 c part 1.1 ok",
            "400 b end 1.2 failed",
            "400 b>c go 1.2",
            "400 c part 1.2 ok",
            "400 c in 1.0",
            "400 c start 1.0",
            "500 c end 1.0 ok",
            "500 c part 1.0 ok",
            "500 c over 1.0 ok",
        ],
    );
}

#[test]
fn a_call_by_fork_keeps_the_server_until_the_parts_have_joined() {
    expect_later(
        &[
            source("u", "\"job\""),
            source("w", "\"job\""),
            takes(
                "job",
                "0.05",
                "calls = { fork = [\"x\", \"y\"], join = \"done\" }",
            ),
            takes("x", "0.1", ""),
            takes("y", "0.2", ""),
        ],
        &[
            "50 job>x go 1.1",
            "50 x>job in 1.1",
            "50 x start 1.1",
            "50 job>y go 1.2",
            "50 y>job in 1.2",
            "50 y start 1.2",
            "150 x end 1.1 ok",
            "150 x part 1.1 ok",
            "250 y end 1.2 ok",
            "250 y part 1.2 ok",
            "250 job end 1.0 ok",
            "250 job part 1.0 ok",
            "250 job over 1.0 ok",
            "250 job start 2.0",
            "300 job>x go 2.1",
            "300 x>job in 2.1",
            "300 x start 2.1",
            "300 job>y go 2.2",
            "300 y>job in 2.2",
            "300 y start 2.2",
            "400 x end 2.1 ok",
            "400 x part 2.1 ok",
            "500 y end 2.2 ok",
            "500 y part 2.2 ok",
            "500 job end 2.0 ok",
            "500 job part 2.0 ok",
            "500 job over 2.0 ok",
        ],
    );
}

#[test]
fn a_call_may_be_left_out_and_may_fail_by_its_parts() {
    let by_chance =
        "calls = { probability = [ { to = \"done\", p = 1.0 }, { to = \"x\", p = 0.0 } ] }";
    expect_later(
        &[
            source("u", "\"job\""),
            takes("job", "0.05", by_chance),
            takes("x", "0.1", ""),
        ],
        &[
            "50 job end 1.0 ok",
            "50 job part 1.0 ok",
            "50 job over 1.0 ok",
        ],
    );
    expect_later(
        &[
            source("u", "\"job\""),
            takes(
                "job",
                "0.05",
                "calls = { fork = [\"x\"], join = \"done\" }\non_failure = \"spare\"",
            ),
            takes("x", "0.1", "failure = { probability = 1.0 }"),
            takes("spare", "0.1", ""),
        ],
        &[
            "50 job>x go 1.1",
            "50 x>job in 1.1",
            "50 x start 1.1",
            "150 x end 1.1 failed",
            "150 x part 1.1 failed",
            "150 job end 1.0 failed",
            "150 job>spare go 1.0",
            "150 spare>job in 1.0",
            "150 spare start 1.0",
            "250 spare end 1.0 ok",
            "250 spare part 1.0 ok",
            "250 spare over 1.0 ok",
        ],
    );
}
