//! The swarm: random scenarios by the hundred, every promise checked after every event.
//!
//! Belongs here: how many, what a failure prints. Does not belong here: making scenarios (generate),
//! watching them (run), making them smaller (shrink).
//!
//! `FLOWREEL_SWARM=5000` runs so many in place of the usual number; `cargo xtask test --long` does.

mod books;
mod dice;
mod facts;
mod generate;
mod language;
mod laws;
mod plan;
mod rules;
mod run;
mod settle;
mod shrink;
mod stations;
mod tree;
mod witness;

use flowreel_engine::kernel::{self, EventSink};
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::scenario::load;
use generate::generate;
use language::Language;
use run::{Extra, Verdict, examine};
use std::collections::BTreeMap;
use std::fmt::Write;
use toml::Table;
use witness::Witness;

/// Scenarios of one run of the tests, over all shares.
const USUAL: u64 = 400;
const SHARES: u64 = 4;

/// How many scenarios the environment asks for.
#[expect(
    clippy::disallowed_methods,
    reason = "the one setting of the swarm: how long it may take"
)]
fn count() -> u64 {
    match std::env::var("FLOWREEL_SWARM") {
        Ok(text) => text
            .parse()
            .expect("FLOWREEL_SWARM is a number of scenarios"),
        Err(_unset) => USUAL,
    }
}

const NOTHING_ELSE: Extra<'_> = &|_| Ok(());

/// What a broken promise says: seed, promise, and a scenario to paste into a file.
fn report(seed: u64, root: &Table, extra: Extra<'_>, complaint: &witness::Complaint) -> String {
    let (kind, _) = complaint;
    let small = shrink::shrink(
        root,
        &mut |candidate| matches!(examine(candidate, &tree::print(candidate), extra), Verdict::Broken((found, _)) if found == *kind),
    );
    let text = tree::print(&small);
    let what = match examine(&small, &text, extra) {
        Verdict::Broken((_, what)) => what,
        other => format!("{other:?}"),
    };
    format!(
        "swarm seed {seed} breaks `{kind}`: {what}\nshrunk, for `flowreel simulate FILE --allow-unstable`:\n\n{text}"
    )
}

/// One share of all seeds.
#[expect(
    clippy::print_stdout,
    reason = "how much a long run saw; shown with --nocapture"
)]
fn share(number: u64) {
    let language = Language::probe();
    let (mut refused, mut held, mut events) = (Vec::new(), 0_usize, 0_u64);
    let mut broken: BTreeMap<&str, (u32, String)> = BTreeMap::new();
    for seed in (0..count()).filter(|seed| seed % SHARES == number) {
        let made = generate(seed, &language);
        let text = tree::print(&made.tree);
        match examine(&made.tree, &text, NOTHING_ELSE) {
            Verdict::Holds(count) => {
                held += 1;
                events += count;
            }
            Verdict::Refused(why) => refused.push(format!("seed {seed}: {why}")),
            Verdict::Broken(complaint) => {
                let entry = broken.entry(complaint.0);
                let (count, _) = entry
                    .or_insert_with(|| (0, report(seed, &made.tree, NOTHING_ELSE, &complaint)));
                *count += 1;
            }
        }
    }
    println!("{held} scenarios held over {events} events");
    let mut all = String::new();
    for (kind, (count, report)) in &broken {
        writeln!(
            all,
            "\n{count} scenarios break `{kind}`; the first:\n{report}"
        )
        .expect("texts grow");
    }
    assert!(broken.is_empty(), "{all}");
    assert!(
        refused.is_empty(),
        "what is made must be valid: {refused:#?}"
    );
    assert!(
        events > held as u64 * 100,
        "{events} events in {held} scenarios"
    );
}

#[test]
fn random_scenarios_keep_every_promise_first_share() {
    share(0);
}

#[test]
fn random_scenarios_keep_every_promise_second_share() {
    share(1);
}

#[test]
fn random_scenarios_keep_every_promise_third_share() {
    share(2);
}

#[test]
fn random_scenarios_keep_every_promise_fourth_share() {
    share(3);
}

#[test]
fn the_swarm_uses_every_feature_that_the_language_knows() {
    let language = Language::probe();
    assert_eq!(
        language.lost(),
        Vec::<&str>::new(),
        "once in the language, always in it"
    );
    let mut seen: BTreeMap<&str, u32> = language.names().map(|name| (name, 0)).collect();
    for seed in 0..USUAL {
        for name in generate(seed, &language).used {
            *seen.get_mut(name).expect("used features are known") += 1;
        }
    }
    let rare: Vec<_> = seen.iter().filter(|(_, count)| **count == 0).collect();
    assert!(rare.is_empty(), "never used: {rare:?}");
}

#[test]
fn a_broken_promise_is_shrunk_to_the_smallest_scenario_that_breaks_it() {
    let language = Language::probe();
    let never_retries: Extra<'_> = &|event| match event.kind {
        EventKind::RetryScheduled => Err(("no retry", format!("{event:?}"))),
        _ => Ok(()),
    };
    let found = (0..USUAL).find_map(|seed| {
        let made = generate(seed, &language);
        match examine(&made.tree, &tree::print(&made.tree), never_retries) {
            Verdict::Broken(complaint) => Some((seed, made.tree, complaint)),
            Verdict::Holds(_) | Verdict::Refused(_) => None,
        }
    });
    let (seed, root, complaint) = found.expect("some scenario retries");
    assert!(
        tree::tables(&root, "station").count() > 2,
        "the first is not small by itself"
    );
    let text = report(seed, &root, never_retries, &complaint);
    // Whoever retries needs a station that fails or refuses, and one to wait in.
    let count = |what: &str| text.matches(what).count();
    assert_eq!(count("[[station]]"), 2, "{text}");
    assert_eq!(count("[[source]]"), 1, "{text}");
    assert_eq!(count("retry = "), 1, "{text}");
    assert_eq!(count("via = "), 1, "{text}");
    for gone in [
        "[[fault]]",
        "[[class]]",
        "[[edge]]",
        "[[path]]",
        "probability = [",
        "choose",
        "copy",
        "batch",
    ] {
        assert_eq!(count(gone), 0, "{text}");
    }
    assert!(
        text.contains(&format!("swarm seed {seed} breaks `no retry`")),
        "{text}"
    );
}

/// Each tampered stream must be noticed; `tamper` changes the events from that position on.
fn is_noticed(name: &str, tamper: impl Fn(&mut Vec<StageEvent>, usize)) {
    let language = Language::probe();
    let (mut tampered, mut noticed) = (0, 0);
    for seed in 0..40 {
        let root = generate(seed, &language).tree;
        let Ok(scenario) = load(&tree::print(&root), &["requests=30".to_owned()]) else {
            continue;
        };
        let mut events = Vec::new();
        kernel::run(
            &scenario,
            seed,
            &mut EventSink(|event: &StageEvent| events.push(*event)),
        )
        .expect("runs");
        let starts = events
            .iter()
            .enumerate()
            .filter(|(_, event)| event.kind == EventKind::ServiceStarted);
        let positions: Vec<usize> = starts
            .map(|(position, _)| position)
            .step_by(7)
            .take(20)
            .collect();
        for position in positions {
            let mut changed = events.clone();
            tamper(&mut changed, position);
            for (seq, event) in changed.iter_mut().enumerate() {
                event.seq = seq as u64;
            }
            let priorities = scenario
                .classes()
                .iter()
                .map(|class| i64::from(class.priority))
                .collect();
            let mut witness = Witness::new(plan::plans(&root), priorities);
            let complaint = changed
                .iter()
                .find_map(|event| witness.event(event).err())
                .or(witness.end().err());
            tampered += 1;
            noticed += u32::from(complaint.is_some());
        }
    }
    // What waits at the very end of a run may be lost without a trace.
    assert!(
        tampered > 200 && noticed * 10 > tampered * 9,
        "{name}: {noticed} of {tampered} noticed"
    );
}

#[test]
fn a_lost_doubled_or_moved_event_is_noticed() {
    is_noticed("lost", |events, position| {
        events.remove(position);
    });
    is_noticed("doubled", |events, position| {
        let event = events[position];
        events.insert(position, event);
    });
    is_noticed("elsewhere", |events, position| {
        events[position].part.0 += 1;
    });
    is_noticed("too early", |events, position| {
        events[position].t_ns.0 = events[position].t_ns.0.saturating_sub(10_000_000_000_000);
    });
}
