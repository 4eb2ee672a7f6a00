//! Blocking after service, event by event, and stations that wait for each other.

use crate::limits::{EACH_SECOND, USUAL, scenario, station, story};
use flowreel_engine::kernel::{Trouble, run};
use flowreel_engine::scenario::load;

#[test]
fn a_server_keeps_its_part_until_there_is_room() {
    // Second stage: one in service for 2.5 s, nobody may wait.
    let text = scenario(
        7.4,
        EACH_SECOND,
        &(station("s", 0.5, "next = \"t\"")
            + &station("t", 2.5, "capacity = 1\non_full = \"block\"")),
    );
    let expected = [
        "1000 1 arrived s",
        "1000 1 service-started s",
        "1500 1 service-ended s",
        "1500 1 arrived t",
        "1500 1 service-started t",
        "2000 2 arrived s",
        "2000 2 service-started s",
        // Done at 2.5 s, and kept.
        "3000 3 arrived s",
        "4000 1 service-ended t",
        "4000 1 request-finished t",
        "4000 4 arrived s",
        "5000 5 arrived s",
    ];
    let told = story(&text, USUAL);
    // At 4 s an arrival and a service end share an instant: the order is that of the appointments.
    let mut sorted: Vec<&str> = expected.to_vec();
    sorted.extend([
        "4000 2 service-ended s",
        "4000 2 arrived t",
        "4000 2 service-started t",
        "4000 3 service-started s",
        "6000 6 arrived s",
        "6500 2 service-ended t",
        "6500 2 request-finished t",
        "6500 3 service-ended s",
        "6500 3 arrived t",
        "6500 3 service-started t",
        "6500 4 service-started s",
        "7000 7 arrived s",
    ]);
    let mut found: Vec<&str> = told.iter().map(String::as_str).collect();
    found.sort_unstable();
    sorted.sort_unstable();
    assert_eq!(found, sorted);
}

#[test]
fn those_at_a_door_come_in_by_order_of_coming() {
    // Two servers and then the source itself wait for the one place of t.
    let text = scenario(
        6.9,
        "process = \"deterministic\", every_s = 10.0, first_s = 0.0",
        &(station("s", 0.5, "servers = 3\nnext = \"t\"")
            + &station("t", 2.0, "capacity = 1\non_full = \"block\"")),
    )
    .replace(
        "to = \"s\"",
        "batch = 4\nto = { by_class = { a = \"s\", b = \"t\" } }\nmix = { a = 1.0, b = 0.0 }",
    ) + "[[class]]\nid = \"a\"\n[[class]]\nid = \"b\"\n[[source]]\nid = \"late\"\nmix = { a = 0.0, b = 1.0 }\n\
       arrivals = { process = \"deterministic\", every_s = 10.0, first_s = 1.0 }\nto = \"t\"\n";
    let starts: Vec<String> = story(&text, USUAL)
        .into_iter()
        .filter(|line| line.contains("service-started t") || line.contains("arrived t"))
        .collect();
    let expected = [
        "500 1 arrived t",
        "500 1 service-started t",
        "2500 2 arrived t",
        "2500 2 service-started t",
        "4500 3 arrived t",
        "4500 3 service-started t",
        "6500 5 arrived t",
        "6500 5 service-started t",
    ];
    assert_eq!(starts, expected);
}

#[test]
fn stations_that_wait_for_each_other_are_found() {
    let circle = |rest: &str| {
        scenario(
            100.0,
            EACH_SECOND,
            &(station("s", 0.5, "capacity = 1\non_full = \"block\"\nnext = \"t\"")
                + &station(
                    "t",
                    0.7,
                    &format!(
                        "capacity = 1\non_full = \"block\"\nnext = {{ probability = [ {{ to = \"s\", p = 0.5 }}, {{ to = \"done\", p = 0.5 }} ] }}\n{rest}"
                    ),
                )),
        )
    };
    let problems = load(&circle(""), &[]).expect_err("it may deadlock");
    let said = problems.to_string();
    assert!(said.contains("wait for each other's room"), "{said}");
    // Few enough users can never fill the circle; patience helps only those who wait in a line.
    let closed = "process = \"closed\", users = 1";
    load(&circle("").replace(EACH_SECOND, closed), &[]).expect("one user waits for nobody");
    let patient = circle("patience = { dist = \"deterministic\", mean_s = 5.0 }");
    let scenario = load(&patient, &[]).expect("who waits leaves in the end");
    let ended = run(&scenario, 1, &mut ());
    let error = ended.expect_err("both are full in the end");
    assert!(
        matches!(error.trouble(), Trouble::Deadlock { .. }),
        "{error}"
    );
    let queue = "[[station]]\nid = \"s\"\nkind = \"queue\"\ncapacity = 1\non_full = \"block\"\nnext = \"w\"\n";
    let worker = station("w", 1.5, "kind = \"worker\"\nnext = \"s\"");
    let text = scenario_text(queue, &worker);
    let problems = load(&text, &[]).expect_err("a worker that feeds its own queue");
    assert!(problems.to_string().contains("`s` and those"), "{problems}");
}

fn scenario_text(queue: &str, worker: &str) -> String {
    scenario(100.0, EACH_SECOND, &format!("{queue}{worker}"))
}

#[test]
fn a_circle_that_blocks_is_named_with_its_place() {
    let text = scenario(
        10.0,
        EACH_SECOND,
        &station("s", 0.5, "capacity = 1\non_full = \"block\"\nnext = \"s\""),
    );
    let problems = load(&text, &[]).expect_err("it waits for itself");
    let said = problems.to_string();
    assert!(
        said.starts_with("8:1: `s` and those it sends to wait for each other's room"),
        "{said}"
    );
}
