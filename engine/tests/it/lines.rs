//! Lines and servers: who is served when, to the nanosecond, for four jobs worked out by hand.

use flowreel_engine::analysis::{Answer, replicate};
use flowreel_engine::kernel::{EventSink, run};
use flowreel_engine::model::check::StreamCheck;
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::scenario::load;

/// Jobs a, b, c, d come at 20, 21, 22 and 23 s and need 4, 3, 1 and 2 s; d is the most urgent, then
/// b and c, then a.
const SIZES_S: [f64; 4] = [4.0, 3.0, 1.0, 2.0];
const PRIORITIES: [i32; 4] = [1, 2, 2, 3];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Those jobs at station `s` with these keys, and whatever follows it.
fn four_jobs(sizes_s: Option<[f64; 4]>, keys: &str, rest: &str) -> String {
    let mut text = String::from("schema = 1\nname = \"lines\"\nduration = \"39s\"\n");
    let mut classes = String::new();
    for (index, name) in NAMES.iter().enumerate() {
        let priority = PRIORITIES[index];
        text += &format!("[[class]]\nid = \"{name}\"\npriority = {priority}\n");
        let mix = NAMES.map(|it| format!("{it} = {}", u8::from(it == *name)));
        classes += &format!(
            "[[source]]\nid = \"from-{name}\"\narrivals = {{ process = \"deterministic\", every_s = {} }}\n\
             mix = {{ {} }}\nto = \"s\"\n",
            20 + index,
            mix.join(", ")
        );
    }
    text += &classes;
    text += "[[station]]\nid = \"s\"\n";
    if let Some(sizes_s) = sizes_s {
        let laws = NAMES.iter().zip(sizes_s).map(|(name, mean_s)| {
            format!("{name} = {{ dist = \"deterministic\", mean_s = {mean_s} }}")
        });
        let laws = laws.collect::<Vec<_>>().join(", ");
        text += &format!("service_by_class = {{ {laws} }}\n");
    }
    text + keys + "\n" + rest
}

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

/// Times of one kind of event at `s` (component 4), by job, in ms; 0 where there is none.
fn times_ms(events: &[StageEvent], kind: EventKind) -> [u64; 4] {
    let mut times = [0; 4];
    for event in events {
        if event.kind == kind && event.component.0 == 4 {
            let time = &mut times[usize::from(event.class.0)];
            assert_eq!(*time, 0, "{kind:?} of one job happens once");
            *time = (event.t_ns.0 + 500_000) / 1_000_000;
        }
    }
    times
}

fn expect(keys: &str, starts_ms: [u64; 4], ends_ms: [u64; 4]) {
    let events = events(&four_jobs(Some(SIZES_S), keys, ""));
    assert_eq!(
        times_ms(&events, EventKind::ServiceStarted),
        starts_ms,
        "{keys}: starts"
    );
    assert_eq!(
        times_ms(&events, EventKind::ServiceEnded),
        ends_ms,
        "{keys}: ends"
    );
}

const AT_ONCE: [u64; 4] = [20_000, 21_000, 22_000, 23_000];

#[test]
fn lines_without_interruption() {
    for (discipline, starts, ends) in [
        (
            "fifo",
            [20_000, 24_000, 27_000, 28_000],
            [24_000, 27_000, 28_000, 30_000],
        ),
        (
            "lifo",
            [20_000, 27_000, 26_000, 24_000],
            [24_000, 30_000, 27_000, 26_000],
        ),
        (
            "priority",
            [20_000, 26_000, 29_000, 24_000],
            [24_000, 29_000, 30_000, 26_000],
        ),
        (
            "sjf",
            [20_000, 27_000, 24_000, 25_000],
            [24_000, 30_000, 25_000, 27_000],
        ),
    ] {
        expect(&format!("discipline = \"{discipline}\""), starts, ends);
    }
}

#[test]
fn lines_with_interruption_resume_where_they_were() {
    for (keys, starts, ends) in [
        (
            "discipline = \"lifo-preemptive\"",
            AT_ONCE,
            [30_000, 27_000, 23_000, 25_000],
        ),
        (
            "discipline = \"preemptive-priority\"",
            [20_000, 21_000, 26_000, 23_000],
            [30_000, 26_000, 27_000, 25_000],
        ),
        (
            "discipline = \"srpt\"",
            [20_000, 27_000, 22_000, 25_000],
            [25_000, 30_000, 23_000, 27_000],
        ),
        (
            "discipline = \"preemptive-priority\"\nservers = 2",
            AT_ONCE,
            [26_000, 24_000, 23_000, 25_000],
        ),
    ] {
        expect(keys, starts, ends);
    }
}

#[test]
fn shared_servers_serve_all_at_once() {
    // To the ms: 25 2/3 s, 29 2/3 s; with two cores 25 1/6 s, 23 2/3 s, 25 5/6 s.
    for (keys, ends) in [
        (
            "discipline = \"processor-sharing\"",
            [30_000, 30_000, 25_667, 29_667],
        ),
        (
            "discipline = \"processor-sharing\"\nservers = 2",
            [25_167, 25_167, 23_667, 25_833],
        ),
        ("discipline = \"las\"", [30_000, 29_000, 23_000, 27_000]),
    ] {
        expect(keys, AT_ONCE, ends);
    }
}

#[test]
fn batches_wait_for_company_as_long_as_they_may() {
    for (keys, starts, ends) in [
        (
            "batch_service = { max = 2, min = 2 }",
            [21_000, 21_000, 25_000, 25_000],
            [25_000, 25_000, 26_000, 26_000],
        ),
        (
            "batch_service = { max = 3, linger_s = 1.5 }",
            [21_500, 21_500, 25_500, 25_500],
            [25_500, 25_500, 26_500, 26_500],
        ),
    ] {
        expect(keys, starts, ends);
    }
}

#[test]
fn cold_and_broken_stations_serve_later() {
    expect(
        "setup = { dist = \"deterministic\", mean_s = 2.0 }",
        [22_000, 26_000, 29_000, 30_000],
        [26_000, 29_000, 30_000, 32_000],
    );
    expect(
        "breakdown = { up = { dist = \"deterministic\", mean_s = 21.5 }, down = { dist = \"deterministic\", mean_s = 1.0 } }",
        [20_000, 25_000, 28_000, 29_000],
        [25_000, 28_000, 29_000, 31_000],
    );
    // Sharing stops too: each of a and b stands at 0.75 s more than without the break.
    expect(
        "discipline = \"processor-sharing\"\nbreakdown = { up = { dist = \"deterministic\", mean_s = 29.0 }, down = { dist = \"deterministic\", mean_s = 1.0 } }",
        AT_ONCE,
        [31_000, 31_000, 25_667, 30_667],
    );
}

#[test]
fn the_fastest_idle_server_is_taken() {
    let keys = "service_by_server = [ { dist = \"deterministic\", mean_s = 3.0 }, { dist = \"deterministic\", mean_s = 1.0 } ]";
    let events = events(&four_jobs(None, keys, ""));
    assert_eq!(times_ms(&events, EventKind::ServiceStarted), AT_ONCE);
    let ends = [21_000, 24_000, 23_000, 24_000];
    assert_eq!(times_ms(&events, EventKind::ServiceEnded), ends);
}

#[test]
fn limits_hold_under_every_discipline() {
    // Full: c and d are refused, a and b share to the end.
    let shared = "discipline = \"processor-sharing\"\ncapacity = 2";
    let full = events(&four_jobs(Some(SIZES_S), shared, ""));
    assert_eq!(times_ms(&full, EventKind::Rejected), [0, 0, 22_000, 23_000]);
    assert_eq!(
        times_ms(&full, EventKind::ServiceEnded),
        [27_000, 27_000, 0, 0]
    );
    // Impatient: whoever has begun stays, interrupted or not.
    let patience = "patience = { dist = \"deterministic\", mean_s = 1.5 }";
    let leave = |discipline: &str| {
        let keys = format!("discipline = \"{discipline}\"\n{patience}");
        let events = events(&four_jobs(Some(SIZES_S), &keys, ""));
        (
            times_ms(&events, EventKind::Abandoned),
            times_ms(&events, EventKind::ServiceEnded),
        )
    };
    assert_eq!(
        leave("lifo-preemptive"),
        ([0; 4], [30_000, 27_000, 23_000, 25_000])
    );
    assert_eq!(
        leave("srpt"),
        ([0, 22_500, 0, 24_500], [25_000, 0, 23_000, 0])
    );
    // One start every 2.5 s: an interrupted job goes on while the next start is not allowed.
    expect(
        "discipline = \"lifo-preemptive\"\nrate_limit = { per_s = 0.4 }",
        [20_000, 27_500, 22_500, 25_000],
        [25_000, 30_500, 23_500, 27_000],
    );
}

#[test]
fn a_pause_lets_in_nobody_and_ends_what_was_begun() {
    let fault = "[[fault]]\nat = \"21.5s\"\nfor = \"2s\"\ntarget = \"s\"\nkind = \"pause\"\n";
    let keys = "discipline = \"processor-sharing\"";
    let events = events(&four_jobs(Some(SIZES_S), keys, fault));
    let starts = [20_000, 21_000, 23_500, 23_500];
    assert_eq!(times_ms(&events, EventKind::ServiceStarted), starts);
    let ends = [29_750, 29_750, 27_500, 30_000];
    assert_eq!(times_ms(&events, EventKind::ServiceEnded), ends);
}

#[test]
fn a_queue_hands_out_by_its_own_order() {
    let text = four_jobs(
        None,
        "kind = \"queue\"\ndiscipline = \"priority\"\nnext = \"w\"",
        "",
    ) + "[[station]]\nid = \"w\"\nkind = \"worker\"\nservice = { dist = \"deterministic\", mean_s = 4.0 }\n";
    let events = events(&text);
    let handed_out = [20_000, 28_000, 32_000, 24_000];
    assert_eq!(times_ms(&events, EventKind::JobPickedUp), handed_out);
}

#[test]
fn a_caller_gives_its_share_back_and_counts_what_it_got() {
    let db = "[[station]]\nid = \"db\"\nservers = \"infinite\"\nservice = { dist = \"deterministic\", mean_s = 1.0 }\n";
    let keys = "discipline = \"processor-sharing\"\ncalls = \"db\"\ncapacity = 2";
    let text = four_jobs(Some([2.0, 3.0, 1.0, 2.0]), keys, db);
    let events = events(&text);
    assert_eq!(
        times_ms(&events, EventKind::ServiceEnded),
        [24_000, 26_000, 0, 0]
    );
    let scenario = load(&text, &["warmup=\"0s\"".to_owned()]).expect("valid");
    let runs = replicate(&scenario, 1, 1, 1).expect("the run ends");
    let answer = Answer::new(&scenario, 1, &runs);
    let service = answer.stations["s"].service_s.mean.expect("measured").value;
    assert!(
        (service - 3.5).abs() < 1e-9,
        "2 + 1 s and 3 + 1 s, not {service}"
    );
}

/// When the station is empty, whatever the order in which it served.
fn idle_moments(discipline: &str) -> Vec<u64> {
    let text = format!(
        "schema = 1\nname = \"conservation\"\nduration = \"3000s\"\n[[class]]\nid = \"short\"\npriority = 2\n[[class]]\nid = \"middle\"\n\
         [[class]]\nid = \"long\"\npriority = 1\n[[source]]\nid = \"clients\"\narrivals = {{ process = \"poisson\", rate_per_s = 1.0 }}\n\
         batch = {{ dist = \"geometric\", mean = 1.5 }}\nto = \"s\"\n[[station]]\nid = \"s\"\ndiscipline = \"{discipline}\"\n\
         service_by_class = {{ short = {{ dist = \"deterministic\", mean_s = 0.1 }}, middle = {{ dist = \"deterministic\", mean_s = 0.5 }}, \
         long = {{ dist = \"deterministic\", mean_s = 1.0 }} }}\n"
    );
    let mut present = 0_u32;
    let mut idle = Vec::new();
    for event in events(&text) {
        match event.kind {
            EventKind::Arrived => present += 1,
            EventKind::ServiceEnded => {
                assert_eq!(event.outcome, Outcome::Ok);
                present -= 1;
                if present == 0 {
                    idle.push(event.t_ns.0);
                }
            }
            _ => {}
        }
    }
    idle
}

#[test]
fn work_is_conserved_by_every_discipline() {
    let fifo = idle_moments("fifo");
    assert!(fifo.len() > 300, "{} busy periods", fifo.len());
    for discipline in [
        "lifo",
        "lifo-preemptive",
        "random",
        "priority",
        "preemptive-priority",
        "sjf",
        "srpt",
    ] {
        assert_eq!(idle_moments(discipline), fifo, "{discipline}");
    }
    // Shared work ends on whole nanoseconds: rounded up, by less than one per end.
    for discipline in ["processor-sharing", "las"] {
        let moments = idle_moments(discipline);
        assert_eq!(moments.len(), fifo.len(), "{discipline}");
        for (shared, plain) in moments.iter().zip(&fifo) {
            assert!(
                (*plain..plain + 100).contains(shared),
                "{discipline}: {shared}, not {plain}"
            );
        }
    }
}
