//! Limits, event by event: time limits, breakers, blocking, backoff, budgets, disconnections.
//!
//! Belongs here: sequences computed by hand from deterministic times. Does not belong here: random
//! models with exact values (theory_limits).

use flowreel_engine::kernel::{EventSink, run};
use flowreel_engine::model::check::StreamCheck;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::scenario::load;

/// Every event, each checked against the invariants.
fn events(text: &str) -> Vec<StageEvent> {
    let scenario = load(text, &[]).expect("valid");
    let mut check = StreamCheck::new(&scenario.topology);
    let mut list = Vec::new();
    let mut broken = None;
    let mut sink = EventSink(|event: &StageEvent| {
        list.push(*event);
        if let Err(violation) = check.apply(event) {
            broken.get_or_insert(violation);
        }
    });
    run(&scenario, 1, &mut sink).expect("the run ends");
    assert_eq!(broken, None);
    check.check_levels().expect("levels add up");
    list
}

/// `ms request kind component outcome`, of the kinds that are not left out.
pub(crate) fn story(text: &str, without: &[EventKind]) -> Vec<String> {
    let scenario = load(text, &[]).expect("valid");
    let list = events(text);
    let told = list.iter().filter(|event| !without.contains(&event.kind));
    told.map(|event| {
        let outcome = match event.outcome {
            Outcome::None | Outcome::Ok => String::new(),
            other => format!(" {}", other.name()),
        };
        let request = match event.request.0 {
            0 => "-".to_owned(),
            id => id.to_string(),
        };
        format!(
            "{} {request} {} {}{outcome}",
            event.t_ns.0 / 1_000_000,
            event.kind.name(),
            scenario.topology.components[event.component.index()].id,
        )
    })
    .collect()
}

pub(crate) const USUAL: &[EventKind] = &[
    EventKind::RequestBegun,
    EventKind::Forwarded,
    EventKind::PartFinished,
];

/// One request each second from 1 s on.
pub(crate) fn scenario(duration_s: f64, arrivals: &str, stations: &str) -> String {
    format!(
        "schema = 1\nname = \"limits\"\nduration = \"{duration_s}s\"\n[[source]]\nid = \"users\"\n\
         arrivals = {{ {arrivals} }}\nto = \"s\"\n{stations}"
    )
}

pub(crate) const EACH_SECOND: &str = "process = \"deterministic\", every_s = 1.0";

pub(crate) fn station(id: &str, service_s: f64, rest: &str) -> String {
    format!(
        "[[station]]\nid = \"{id}\"\nservice = {{ dist = \"deterministic\", mean_s = {service_s} }}\n{rest}\n"
    )
}

fn fault(at_s: f64, for_s: f64, target: &str, kind: &str) -> String {
    format!("[[fault]]\nat = {at_s}\nfor = {for_s}\ntarget = \"{target}\"\nkind = \"{kind}\"\n")
}

#[test]
fn a_time_limit_ends_who_waits_and_who_is_served() {
    let text = scenario(
        4.95,
        EACH_SECOND,
        &(station("s", 0.4, "timeout_s = 2.5") + &fault(0.5, 3.7, "s", "pause")),
    );
    let expected = [
        "500 - fault-began s",
        "1000 1 arrived s",
        "2000 2 arrived s",
        "3000 3 arrived s",
        "3500 1 timed-out s timed-out",
        "3500 1 request-finished s timed-out",
        "4000 4 arrived s",
        "4200 - fault-ended s",
        "4200 2 service-started s",
        "4500 2 timed-out s timed-out",
        "4500 2 request-finished s timed-out",
        "4500 3 service-started s",
        "4900 3 service-ended s",
        "4900 3 request-finished s",
        "4900 4 service-started s",
    ];
    assert_eq!(story(&text, USUAL), expected);
    let limits = events(&text);
    let limit = limits
        .iter()
        .find(|event| event.kind == EventKind::TimedOut)
        .map(|event| event.value);
    assert_eq!(limit, Some(2_500_000_000));
}

#[test]
fn a_caller_out_of_time_takes_its_calls_back() {
    // The first is cut off in service at the callee, the second in its line; the third finds it free.
    let text = scenario(
        1.9,
        "process = \"deterministic\", every_s = 10.0, first_s = 0.0",
        &(station(
            "s",
            0.1,
            "servers = 2\ntimeout_s = 0.5\ncalls = \"db\"\non_failure = \"rescue\"",
        ) + &station("db", 1.0, "")
            + &station("rescue", 0.0, "")),
    )
    .replace("to = \"s\"", "batch = 2\nto = \"s\"");
    let expected = [
        "0 1 arrived s",
        "0 1 service-started s",
        "0 2 arrived s",
        "0 2 service-started s",
        "100 1 arrived db",
        "100 1 service-started db",
        "100 2 arrived db",
        "500 1 service-ended db cancelled",
        "500 1 timed-out s timed-out",
        "500 1 arrived rescue",
        "500 1 service-started rescue",
        "500 2 service-started db",
        "500 2 service-ended db cancelled",
        "500 2 timed-out s timed-out",
        "500 2 arrived rescue",
        "500 1 service-ended rescue",
        "500 1 request-finished rescue",
        "500 2 service-started rescue",
        "500 2 service-ended rescue",
        "500 2 request-finished rescue",
    ];
    assert_eq!(story(&text, USUAL), expected);
}

#[test]
fn a_breaker_opens_tries_and_closes() {
    // Failing until 4.5 s: two failures open it, the probe at 5 s is refused no more.
    let failing = fault(0.0, 4.5, "s", "error-rate") + "probability = 1.0\n";
    let text = scenario(
        8.2,
        EACH_SECOND,
        &(station(
            "s",
            0.1,
            "breaker = { failures = 2, window_s = 5.0, open_s = 1.5 }",
        ) + &failing),
    );
    let kinds = [
        USUAL,
        &[EventKind::RequestFinished, EventKind::ServiceStarted],
    ]
    .concat();
    let expected = [
        "0 - fault-began s",
        "1000 1 arrived s",
        "1100 1 service-ended s failed",
        "2000 2 arrived s",
        "2100 2 service-ended s failed",
        "2100 - alert-raised s",
        "2100 - health-changed s",
        "3000 3 arrived s",
        "3000 3 rejected s rejected",
        "3600 - health-changed s",
        "4000 4 arrived s",
        "4100 4 service-ended s failed",
        "4100 - health-changed s",
        "4500 - fault-ended s",
        "5000 5 arrived s",
        "5000 5 rejected s rejected",
        "5600 - health-changed s",
        "6000 6 arrived s",
        "6100 6 service-ended s",
        "6100 - alert-resolved s",
        "7000 7 arrived s",
        "7100 7 service-ended s",
        "8000 8 arrived s",
        "8100 8 service-ended s",
    ];
    assert_eq!(story(&text, &kinds), expected);
    let health: Vec<u64> = events(&text)
        .iter()
        .filter(|event| event.kind == EventKind::HealthChanged)
        .map(|event| event.value)
        .collect();
    assert_eq!(health, [0, 1, 0, 1]);
}

#[test]
fn only_one_request_tries_a_half_open_breaker() {
    // Both of the pair at 2 s come half-open; the second is refused while the first tries.
    let text = scenario(
        2.9,
        "process = \"deterministic\", every_s = 1.0",
        &(station(
            "s",
            0.5,
            "servers = 4\nbreaker = { failures = 2, window_s = 5.0, open_s = 0.25 }",
        ) + &(fault(0.0, 1.6, "s", "error-rate") + "probability = 1.0\n")),
    )
    .replace("to = \"s\"", "batch = 2\nto = \"s\"");
    let told: Vec<String> = story(&text, USUAL)
        .into_iter()
        .filter(|line| line.contains("alert") || line.contains("rejected"))
        .collect();
    let expected = [
        "1500 - alert-raised s",
        "2000 4 rejected s rejected",
        "2000 4 request-finished s rejected",
        "2500 - alert-resolved s",
    ];
    assert_eq!(told, expected);
}

/// Delays of the retries of request 1, in ms.
fn delays(ladder: &str) -> Vec<u64> {
    let text = scenario(
        500.0,
        "process = \"deterministic\", every_s = 1000.0, first_s = 1.0",
        &(station(
            "s",
            0.1,
            &format!("failure = {{ probability = 1.0 }}\non_failure = {ladder}"),
        ) + "[[station]]\nid = \"pause\"\nkind = \"delay\"\n"),
    );
    let list = events(&text);
    let planned = list
        .iter()
        .filter(|event| event.kind == EventKind::RetryScheduled);
    planned.map(|event| event.value / 1_000_000).collect()
}

#[test]
fn delays_grow_by_their_factor_up_to_the_longest() {
    let via = "retry = [ { via = \"pause\" } ]";
    assert_eq!(
        delays(&format!(
            "{{ {via}, attempts = 6, backoff = {{ first_s = 0.5, factor = 2.0, max_s = 3.0 }} }}"
        )),
        [500, 1000, 2000, 3000, 3000]
    );
    // Without `attempts` a ladder has as many retries as steps.
    assert_eq!(
        delays(&format!("{{ {via}, backoff = {{ first_s = 0.5 }} }}")),
        [500]
    );
    // `attempts` bounds steps with delays of their own too; the last step serves for those that follow.
    assert_eq!(
        delays(
            "{ retry = [ { delay_s = 1.0, via = \"pause\" }, { delay_s = 7.0, via = \"pause\" } ], attempts = 4 }"
        ),
        [1000, 7000, 7000]
    );
    assert_eq!(
        delays(
            "{ retry = [ { delay_s = 1.0, via = \"pause\" }, { delay_s = 7.0, via = \"pause\" } ], attempts = 2 }"
        ),
        [1000]
    );
    assert_eq!(
        delays(
            "{ retry = [ { delay_s = 1.0, via = \"pause\" } ], attempts = 4, last = \"repeat\" }"
        ),
        [1000, 1000, 1000]
    );
    // One token in 4 s: the next retries find none at 2.2 s; without failing for good it would go on.
    assert_eq!(
        delays(
            "{ retry = [ { delay_s = 1.0, via = \"pause\" } ], budget_per_s = 0.25, last = \"repeat\" }"
        ),
        [1000]
    );
    for (jitter, low, high) in [
        ("\"full\"", 0.0, 1.0),
        ("\"equal\"", 0.5, 1.0),
        ("0.2", 0.8, 1.2),
    ] {
        let found = delays(&format!(
            "{{ {via}, attempts = 30, backoff = {{ first_s = 8.0, factor = 1.0, jitter = {jitter} }} }}"
        ));
        let shares: Vec<f64> = found.iter().map(|ms| *ms as f64 / 8000.0).collect();
        assert!(shares.len() == 29 && shares.iter().all(|it| (low..=high).contains(it)));
        let (least, most) = (
            shares.iter().copied().fold(f64::MAX, f64::min),
            shares.iter().copied().fold(0.0, f64::max),
        );
        assert!(
            least < low + 0.2 * (high - low) && most > high - 0.2 * (high - low),
            "{jitter}: {shares:?}"
        );
    }
    let found = delays(&format!(
        "{{ {via}, attempts = 30, backoff = {{ first_s = 1.0, max_s = 5.0, jitter = \"decorrelated\" }} }}"
    ));
    for pair in found.windows(2) {
        assert!(
            (1000..=5000.min(pair[0] * 3 + 3)).contains(&pair[1]),
            "{pair:?}"
        );
    }
}

#[test]
fn ladders_that_contradict_themselves_are_refused() {
    for (keys, words) in [
        (
            "retry = [ { via = \"pause\" } ], backoff = { first_s = 2.0, max_s = 1.0 }",
            "`first_s` 2 is above `max_s` 1",
        ),
        (
            "retry = [ { via = \"pause\", delay_s = 1.0 } ], backoff = { first_s = 1.0 }",
            "a delay beside the ladder's `backoff`",
        ),
        (
            "retry = [ { via = \"pause\" } ], backoff = { first_s = 1.0 }, last = \"repeat\"",
            "grows without bound",
        ),
        (
            "retry = [ { via = \"pause\" } ], backoff = { first_s = 1.0, jitter = \"ful\" }",
            "did you mean `full`?",
        ),
    ] {
        let failing = station("s", 0.1, &format!("on_failure = {{ {keys} }}"));
        let text = scenario(
            10.0,
            EACH_SECOND,
            &(failing + "[[station]]\nid = \"pause\"\nkind = \"delay\"\n"),
        );
        let said = load(&text, &[]).expect_err("refused").to_string();
        assert!(said.contains(words), "{keys}: {said}");
    }
}

#[test]
fn who_finds_no_retry_left_falls_off_the_ladder() {
    // Failures at 1.1, 1.2 and 1.3 s; 0.5 retries per second: one at once, the next after 2 s.
    let text = scenario(
        3.9,
        "process = \"deterministic\", every_s = 0.1, first_s = 1.0",
        &(station(
            "s",
            0.1,
            "servers = 100\nfailure = { probability = 1.0 }\non_failure = { retry = [ { delay_s = 100.0, via = \"pause\" } ], budget_per_s = 0.5, then = \"failed\" }",
        ) + "[[station]]\nid = \"pause\"\nkind = \"delay\"\n"),
    );
    let list = events(&text);
    let planned: Vec<u64> = list
        .iter()
        .filter(|event| event.kind == EventKind::RetryScheduled)
        .map(|event| event.t_ns.0 / 1_000_000)
        .collect();
    assert_eq!(planned, [1100, 3100]);
    let failed = list
        .iter()
        .filter(|event| event.kind == EventKind::RequestFinished)
        .count();
    assert_eq!(failed, 27);
}

#[test]
fn connections_drop_at_once_and_users_come_back() {
    // Two users: one is served for 10 s, one waits; at 4 s both are cut, refused once, and back at 6 s.
    let text = scenario(
        7.5,
        "process = \"closed\", users = 2, think = { dist = \"deterministic\", mean_s = 1.5 }",
        &(station("s", 10.0, "kind = \"websocket\"") + &fault(4.0, 1.8, "s", "disconnect")),
    );
    let expected = [
        "1500 1 arrived s",
        "1500 1 service-started s",
        "1500 2 arrived s",
        "4000 - fault-began s",
        "4000 - health-changed s",
        "4000 1 service-ended s cancelled",
        "4000 1 request-finished s cancelled",
        "4000 2 abandoned s cancelled",
        "4000 2 request-finished s cancelled",
        "5500 3 arrived s",
        "5500 3 rejected s rejected",
        "5500 3 request-finished s rejected",
        "5500 4 arrived s",
        "5500 4 rejected s rejected",
        "5500 4 request-finished s rejected",
        "5800 - fault-ended s",
        "5800 - health-changed s",
        "7000 5 arrived s",
        "7000 5 service-started s",
        "7000 6 arrived s",
    ];
    assert_eq!(story(&text, USUAL), expected);
}

#[test]
fn limits_keep_the_invariants_together() {
    let text = "schema = 1\nname = \"all\"\nduration = \"400s\"\n\
        [[class]]\nid = \"a\"\ndeadline_s = 2.0\n[[class]]\nid = \"b\"\n\
        [[source]]\nid = \"users\"\narrivals = { process = \"poisson\", rate_per_s = 6.0 }\nto = \"web\"\n\
        [[source]]\nid = \"closed\"\narrivals = { process = \"closed\", users = 5, think = { dist = \"exponential\", mean_s = 0.3 } }\nto = \"mid\"\n\
        [[station]]\nid = \"web\"\nservers = 6\nservice = { dist = \"exponential\", mean_s = 0.2 }\ncalls = \"db\"\n\
        timeout_s = 1.5\nbreaker = { failures = 12, window_s = 4.0, open_s = 1.0 }\nnext = \"mid\"\n\
        on_failure = { retry = [ { via = \"pause\" } ], attempts = 4, budget_per_s = 3.0, backoff = { first_s = 0.2, jitter = \"full\" }, then = \"failed\" }\n\
        [[station]]\nid = \"db\"\nservers = 2\nservice = { dist = \"exponential\", mean_s = 0.25 }\ncapacity = 4\non_full = \"block\"\n\
        [[station]]\nid = \"mid\"\nservice = { dist = \"exponential\", mean_s = 0.1 }\ncapacity = 3\non_full = \"block\"\n\
        timeout_s = 2.0\nrate_limit = { per_s = 8.0, burst = 3, refill = \"tick\" }\nnext = \"last\"\n\
        [[station]]\nid = \"last\"\nservice = { dist = \"exponential\", mean_s = 0.12 }\ncapacity = 2\non_full = \"block\"\n\
        patience = { dist = \"exponential\", mean_s = 0.5 }\n\
        [[station]]\nid = \"pause\"\nkind = \"delay\"\n\
        [[edge]]\nfrom = \"web\"\nto = \"db\"\ntransit = { dist = \"exponential\", mean_s = 0.05 }\n";
    let faults = fault(50.0, 20.0, "db", "disconnect")
        + &fault(100.0, 20.0, "last", "disconnect")
        + &fault(150.0, 20.0, "mid", "down")
        + &fault(200.0, 20.0, "web", "disconnect")
        + &fault(250.0, 20.0, "last", "pause");
    let list = events(&format!("{text}{faults}"));
    for kind in [
        EventKind::TimedOut,
        EventKind::AlertRaised,
        EventKind::AlertResolved,
        EventKind::Abandoned,
        EventKind::Rejected,
    ] {
        let count = list.iter().filter(|event| event.kind == kind).count();
        assert!(count > 0, "no {}", kind.name());
    }
}
