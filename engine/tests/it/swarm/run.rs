//! One scenario, run and watched from all sides.
//!
//! Belongs here: running with every check, seek against fold, the answer's figures. Does not belong
//! here: what the bystanders check (witness, facts), where scenarios come from (generate).

use super::facts::Facts;
use super::plan::plans;
use super::tree::tables;
use super::witness::{Complaint, Witness};
use flowreel_engine::analysis::{Answer, Runs, find_overload, simulate};
use flowreel_engine::kernel::{Kernel, KernelError, Sink, Trouble};
use flowreel_engine::model::check::StreamCheck;
use flowreel_engine::model::event::{Outcome, StageEvent};
use flowreel_engine::model::id::{ClassId, ComponentId, PathId};
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::{
    FinishInfo, ReelMeta, ReelReader, ReelWriter, RunId, RunSource, WriterOptions,
};
use flowreel_engine::replay::{Via, state_at};
use flowreel_engine::scenario::{Scenario, load};
use serde_json::Value as Json;
use std::panic::{AssertUnwindSafe, catch_unwind};
use toml::{Table, Value};

/// A run that gets longer than this has shown enough.
const EVENTS_MAX: u64 = 12_000;
/// Open visits up to which every level is recounted after every event.
const RECOUNT_MAX: usize = 40;

/// Something else that must hold of each event; tests break a promise with it.
pub(super) type Extra<'a> = &'a dyn Fn(&StageEvent) -> Result<(), Complaint>;

/// All watchers of a run.
struct Watch<'a> {
    witness: Witness,
    facts: Facts,
    check: StreamCheck,
    extra: Extra<'a>,
    last_at: usize,
    events: Vec<StageEvent>,
    complaint: Option<Complaint>,
}

impl Watch<'_> {
    fn take(&mut self, event: &StageEvent) -> Result<(), Complaint> {
        if !self.events.is_empty() {
            self.facts.check_levels(&self.witness, self.last_at)?;
        }
        self.last_at = event.component.index();
        self.witness.event(event)?;
        let violation = |violation: flowreel_engine::model::check::Violation| {
            ("stream check", violation.to_string())
        };
        self.check.apply(event).map_err(violation)?;
        if self.witness.visits.len() <= RECOUNT_MAX || event.seq.is_multiple_of(64) {
            self.check.check_levels().map_err(violation)?;
        }
        (self.extra)(event)
    }
}

impl Sink for Watch<'_> {
    fn event(&mut self, event: &StageEvent) {
        if self.complaint.is_none() {
            self.complaint = self.take(event).err();
        }
        self.events.push(*event);
    }
    fn begun(&mut self, now: TimeNs) {
        self.facts.begun(now);
    }
    fn finished(&mut self, now: TimeNs, class: ClassId, outcome: Outcome, sojourn_ns: u64) {
        self.facts.finished(now, class, outcome, sojourn_ns);
    }
    fn part_finished(
        &mut self,
        now: TimeNs,
        path: Option<PathId>,
        outcome: Outcome,
        sojourn_ns: u64,
    ) {
        self.facts.part_finished(now, path, outcome, sojourn_ns);
    }
    fn arrived(&mut self, now: TimeNs, station: ComponentId) {
        self.facts.arrived(now, station);
    }
    fn started(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        self.facts.started(now, station, waiting_ns);
    }
    fn ended(
        &mut self,
        now: TimeNs,
        station: ComponentId,
        waiting_ns: u64,
        service_ns: u64,
        went_well: bool,
    ) {
        self.facts
            .ended(now, station, waiting_ns, service_ns, went_well);
    }
    fn picked_up(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        self.facts.picked_up(now, station, waiting_ns);
    }
    fn gave_up(&mut self, now: TimeNs, station: ComponentId, outcome: Outcome) {
        self.facts.gave_up(now, station, outcome);
    }
    fn cancelled(&mut self, now: TimeNs, station: ComponentId, was_in_service: bool) {
        self.facts.cancelled(now, station, was_in_service);
    }
    fn timed_out(&mut self, now: TimeNs, station: ComponentId, had_started: bool) {
        self.facts.timed_out(now, station, had_started);
    }
}

/// What a run came to.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// Everything held over so many events.
    Holds(u64),
    /// The language does not take it, and why.
    Refused(String),
    /// A promise is broken.
    Broken(Complaint),
}

/// Runs the scenario with every check; a panic is a broken promise like any other.
pub(super) fn examine(root: &Table, text: &str, extra: Extra<'_>) -> Verdict {
    let watched = catch_unwind(AssertUnwindSafe(|| {
        let scenario = match load(text, &[]) {
            Ok(scenario) => scenario,
            Err(error) => return Verdict::Refused(error.to_string()),
        };
        match watch(root, &scenario, extra) {
            Ok(count) => Verdict::Holds(count),
            Err(complaint) => Verdict::Broken(complaint),
        }
    }));
    watched.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Verdict::Broken(("panic", text.unwrap_or_default()))
    })
}

fn watch(root: &Table, scenario: &Scenario, extra: Extra<'_>) -> Result<u64, Complaint> {
    let priorities = tables(root, "class").map(|class| {
        class
            .get("priority")
            .and_then(Value::as_integer)
            .unwrap_or(0)
    });
    let mut watch = Watch {
        witness: Witness::new(plans(root), priorities.collect()),
        facts: Facts::new(scenario.topology.components.len(), scenario.paths().len()),
        check: StreamCheck::new(&scenario.topology),
        extra,
        last_at: 0,
        events: Vec::new(),
        complaint: None,
    };
    watch.witness.has_quorum = root.to_string().contains("wait_for");
    let failed = |error: KernelError| ("run ends", error.to_string());
    let mut kernel = Kernel::new(scenario, scenario.seed).map_err(failed)?;
    // In slices, so that a crowd can be stopped; a slice follows the pace of the run.
    let (mut until_ns, mut slice_ns) = (0_u64, 1_000_u64);
    let mut is_whole = true;
    loop {
        let before = kernel.report().event_count;
        let goes_on = match kernel.run_until(TimeNs(until_ns), &mut watch) {
            Err(error) if is_ones_own_fault(root, &error) => {
                is_whole = false;
                false
            }
            other => other.map_err(failed)?,
        };
        if let Some(complaint) = watch.complaint.take() {
            return Err(complaint);
        }
        if !goes_on {
            break;
        }
        let count = kernel.report().event_count;
        if count > EVENTS_MAX {
            is_whole = false;
            break;
        }
        if count < before + 20 {
            slice_ns = slice_ns.saturating_mul(2);
        } else if count > before + 200 {
            slice_ns = (slice_ns / 2).max(1);
        }
        until_ns = until_ns.saturating_add(slice_ns);
    }
    let report = kernel.report();
    let state = watch.check.state().clone();
    watch.witness.end()?;
    watch
        .check
        .check_levels()
        .map_err(|violation| ("stream check", violation.to_string()))?;
    watch.facts.end(state.now(), &watch.witness, &state)?;
    let counts = [
        ("events", report.event_count, state.event_count()),
        ("requests begun", report.started, watch.witness.started),
        ("requests ended", report.finished, watch.witness.finished),
    ];
    for (name, by_kernel, by_events) in counts {
        if by_kernel != by_events {
            return Err((
                "report",
                format!("{name}: {by_kernel} by the kernel, {by_events} by events"),
            ));
        }
    }
    if report.run_hash != state.run_hash() {
        return Err((
            "hash",
            "kernel and reducer have different hashes".to_owned(),
        ));
    }
    seek_is_fold(scenario, &watch.events)?;
    if is_whole {
        answer_is_sane(scenario, &report.run_hash.to_string())?;
    }
    Ok(report.event_count)
}

/// Some models come to an end that no check can foresee, and a run has to say so.
fn is_ones_own_fault(root: &Table, error: &KernelError) -> bool {
    let never_thinks = |source: &Table| {
        let arrivals = source.get("arrivals").and_then(Value::as_table);
        arrivals.is_some_and(|it| it.contains_key("users") && !it.contains_key("think"))
    };
    match error.trouble() {
        Trouble::Deadlock { .. } => true,
        // Refused at once, asking again at once.
        Trouble::NoProgress { .. } => tables(root, "source").any(never_thinks),
        Trouble::TimeOverflow { .. } | Trouble::TooManyInFlight { .. } => false,
    }
}

/// The state at a moment is the same by keyframes, by folding the reel, and by folding the events.
fn seek_is_fold(scenario: &Scenario, events: &[StageEvent]) -> Result<(), Complaint> {
    let Some(last) = events.last() else {
        return Ok(());
    };
    let unwritable = |error: &dyn std::fmt::Display| ("reel", error.to_string());
    let options = WriterOptions {
        batch_events: 512,
        batch_span_ns: None,
    };
    let meta = ReelMeta::new(RunId([7; 16]), RunSource::Simulation);
    let mut writer = ReelWriter::with_options(Vec::new(), &meta, &scenario.topology, options)
        .map_err(|error| unwritable(&error))?;
    for event in events {
        writer.push(event).map_err(|error| unwritable(&error))?;
    }
    let (bytes, _) = writer
        .finish(&FinishInfo::default())
        .map_err(|error| unwritable(&error))?;
    let moment = TimeNs(last.t_ns.0 / 3 * 2);
    let mut folded = SystemState::new(&scenario.topology);
    for event in events.iter().take_while(|event| event.t_ns <= moment) {
        folded.apply(event);
    }
    for via in [Via::Seek, Via::Fold] {
        let reader = ReelReader::from_bytes(bytes.clone()).map_err(|error| unwritable(&error))?;
        let state = state_at(reader, moment, via).map_err(|error| unwritable(&error))?;
        if state.state_hash() != folded.state_hash() {
            return Err((
                "seek is fold",
                format!("{via:?} to {moment} differs from the fold of the events"),
            ));
        }
    }
    Ok(())
}

/// Run again with statistics: the same hash, and figures that can be.
fn answer_is_sane(scenario: &Scenario, run_hash: &str) -> Result<(), Complaint> {
    // Refusing to run is the command line's business; that the question has an answer is ours.
    let _overload = find_overload(scenario);
    let figures = simulate(scenario, scenario.seed, &mut ())
        .map_err(|error| ("run ends", error.to_string()))?;
    let answer = Answer::new(scenario, scenario.seed, &Runs::one(scenario, figures));
    if answer.run_hash != run_hash {
        return Err((
            "same seed",
            format!("one seed gave {run_hash} and {}", answer.run_hash),
        ));
    }
    let json = serde_json::to_value(&answer).map_err(|error| ("answer", error.to_string()))?;
    figures_are_sane("", &json)
}

fn figures_are_sane(path: &str, json: &Json) -> Result<(), Complaint> {
    match json {
        Json::Object(fields) => {
            if let Some(value) = fields.get("value").and_then(Json::as_f64) {
                value_is_sane(path, value, fields.get("ci"))?;
            }
            let quantile = |key: &str| fields.get(key)?.get("value")?.as_f64();
            let ladder = ["p50", "p90", "p95", "p99"].map(quantile);
            let max = fields.get("max").and_then(Json::as_f64);
            let steps: Vec<f64> = ladder.into_iter().chain([max]).flatten().collect();
            // The histogram's cells are a thousandth wide.
            if steps
                .windows(2)
                .any(|pair| pair[0] > pair[1] * 1.002 + 1e-9)
            {
                return Err(("answer", format!("{path}: quantiles fall: {steps:?}")));
            }
            for (key, field) in fields {
                figures_are_sane(&format!("{path}.{key}"), field)?;
            }
            Ok(())
        }
        Json::Array(items) => items
            .iter()
            .try_for_each(|item| figures_are_sane(path, item)),
        Json::Null => Err(("answer", format!("{path} is not a number"))),
        _ => Ok(()),
    }
}

fn value_is_sane(path: &str, value: f64, interval: Option<&Json>) -> Result<(), Complaint> {
    let key = path.rsplit('.').next().unwrap_or_default();
    let is_share = key.starts_with("p_");
    if value < -1e-9 || (is_share && value > 1.0 + 1e-9) {
        return Err(("answer", format!("{path} is {value}")));
    }
    let ends: Vec<f64> = interval
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_f64)
        .collect();
    if let [low, high] = ends[..]
        && low > high
    {
        return Err(("answer", format!("{path}: interval from {low} to {high}")));
    }
    Ok(())
}
