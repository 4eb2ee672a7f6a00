//! `flowreel simulate SCENARIO`: run a model, say what it does and how sure that is.
//!
//! Belongs here: arguments, the clock around the run, the table for people. Does not belong here:
//! running (kernel), measuring (analysis).

use super::simulate_out::Recorder;
use super::{CliError, Console, Outcome, scenario_file};
use flowreel_engine::analysis::{
    Answer, Runs, Spread, Timing, Value, find_overload, replicate, simulate,
};
use flowreel_engine::kernel::{EventSink, KernelError};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::time::parse_duration_ns;
use flowreel_engine::scenario::{Loaded, Scenario};
use std::path::PathBuf;

/// Run a model and print its statistics with confidence intervals.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Scenario file.
    scenario: PathBuf,
    /// Seed in place of the scenario's.
    #[arg(long)]
    seed: Option<u64>,
    /// Virtual time to run: 250ms, 12.5s, 5m, 1h.
    #[arg(long, value_parser = duration, conflicts_with = "requests")]
    duration: Option<String>,
    /// Stop after this many requests have finished.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// Change a value: PATH=VALUE, stations by id, such as station.server-1.servers=2.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
    /// Independent runs; intervals then come from them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    replications: u32,
    /// Threads for replications; the answer does not depend on it. Default: one per core.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Record the run to this reel.
    #[arg(long, value_name = "RUN.reel")]
    out: Option<PathBuf>,
    /// Run a model that has no steady state, as a transient.
    #[arg(long)]
    allow_unstable: bool,
}

fn duration(text: &str) -> Result<String, String> {
    match parse_duration_ns(text) {
        Ok(0) => Err("a duration is above 0".to_owned()),
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Args {
    /// All changes to the scenario in the one form that a reel embeds.
    fn overrides(&self) -> Vec<String> {
        let mut list = self.set.clone();
        list.extend(
            self.duration
                .as_ref()
                .map(|text| format!("duration=\"{text}\"")),
        );
        list.extend(self.requests.map(|count| format!("requests={count}")));
        list
    }
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let text = scenario_file::read(&args.scenario)?;
    let overrides = args.overrides();
    let Loaded { scenario, settings } = scenario_file::load(&args.scenario, &text, &overrides)
        .map_err(|error| scenario_file::first_problem(&args.scenario, &error))?;
    // With what its files said, the reel holds all that a run needs.
    let embedded = [overrides, settings].concat();
    let seed = args.seed.unwrap_or(scenario.seed);
    let mut warnings = Vec::new();
    if let Some(warning) = refuse_overload(args, &scenario)? {
        warnings.push(warning);
    }
    if args.out.is_some() && args.replications > 1 {
        return Err(
            CliError::input("a reel holds one run, not several replications")
                .hint("leave out --out or --replications"),
        );
    }
    let recorder = match &args.out {
        Some(out) => Some(Recorder::create(
            out,
            &args.scenario,
            &text,
            seed,
            &embedded,
            &scenario,
        )?),
        None => None,
    };
    let (mut answer, wall_s) = timed(|| run_and_record(args, &scenario, seed, recorder))?;
    warnings.append(&mut answer.warnings);
    answer.warnings = warnings;
    Timing { wall_s }.note(&mut answer);
    if console.json {
        console.answer(&answer)?;
    } else {
        table(&answer, console)?;
    }
    Ok(if answer.slos_hold() {
        Outcome::Done
    } else {
        Outcome::DoesNotHold
    })
}

fn run_and_record(
    args: &Args,
    scenario: &Scenario,
    seed: u64,
    recorder: Option<Recorder>,
) -> Result<Answer, CliError> {
    let failed = |error: KernelError| {
        CliError::input(error.to_string()).at(args.scenario.display().to_string())
    };
    if let Some(mut recorder) = recorder {
        let mut push = EventSink(|event: &StageEvent| recorder.push(event));
        let figures = simulate(scenario, seed, &mut push).map_err(failed)?;
        let answer = Answer::new(scenario, seed, &Runs::one(scenario, figures));
        recorder.finish(&answer)?;
        return Ok(answer);
    }
    let replications = usize::try_from(args.replications).unwrap_or(1);
    let runs = replicate(scenario, seed, replications, threads(args)).map_err(failed)?;
    Ok(Answer::new(scenario, seed, &runs))
}

/// `Some(warning)` where an overloaded model is run all the same.
fn refuse_overload(args: &Args, scenario: &Scenario) -> Result<Option<String>, CliError> {
    let Some(overload) = find_overload(scenario) else {
        return Ok(None);
    };
    let what = if overload.by_rate_limit {
        "rate limit"
    } else {
        "servers"
    };
    let message = format!(
        "no steady state: `{}` is overloaded, utilization {:.3} of its {what}",
        overload.station, overload.utilization
    );
    if args.allow_unstable {
        return Ok(Some(format!("{message}; figures are those of a transient")));
    }
    Err(CliError::refused(message)
        .at(args.scenario.display().to_string())
        .hint(
            "give it more capacity or less traffic, or pass --allow-unstable to see the transient",
        ))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the number of threads changes the wall time only, never the answer"
)]
fn threads(args: &Args) -> usize {
    let given = args.threads.and_then(|count| usize::try_from(count).ok());
    given.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get))
}

#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "wall_s is what the command measured, and no event depends on it"
)]
fn timed<T>(work: impl FnOnce() -> Result<T, CliError>) -> Result<(T, f64), CliError> {
    let start = std::time::Instant::now();
    let result = work()?;
    Ok((result, start.elapsed().as_secs_f64()))
}

fn table(answer: &Answer, console: &mut Console<'_>) -> Result<(), CliError> {
    console.line(format_args!(
        "{}  seed {}  {} virtual s{}  {} events in {:.2} s ({:.2} M/s)",
        answer.scenario,
        answer.seed,
        answer.virtual_duration_s,
        if answer.replications > 1 {
            format!("  {} replications", answer.replications)
        } else {
            String::new()
        },
        answer.events,
        answer.wall_s,
        answer.events_per_s / 1e6
    ))?;
    console.line(format_args!(
        "run hash {}  warm-up {:.3} s",
        answer.run_hash, answer.warmup_s
    ))?;
    let requests = &answer.requests;
    console.line(format_args!(
        "requests: {} started, {} completed, {} failed, {} rejected, {} abandoned, {} in flight",
        requests.started,
        requests.completed,
        requests.failed,
        requests.rejected,
        requests.abandoned,
        requests.in_flight
    ))?;
    console.line(format_args!(""))?;
    console.line(format_args!(
        "{:<16} {:>24} {:>11} {:>11} {:>11} {:>9}",
        "sojourn, s", "mean", "p50", "p95", "p99", "per s"
    ))?;
    let system = &answer.system;
    flow_line(
        "system",
        &system.sojourn_s,
        system.throughput_per_s,
        console,
    )?;
    for (id, path) in &answer.paths {
        flow_line(
            &format!("path {id}"),
            &path.sojourn_s,
            path.throughput_per_s,
            console,
        )?;
    }
    for (id, class) in &answer.classes {
        flow_line(id, &class.sojourn_s, class.throughput_per_s, console)?;
    }
    console.line(format_args!(""))?;
    console.line(format_args!(
        "{:<16} {:>9} {:>7} {:>24} {:>11} {:>9} {:>7} {:>7}",
        "station", "arrivals", "busy", "waiting mean, s", "p99", "present", "reject", "failed"
    ))?;
    for (id, station) in &answer.stations {
        console.line(format_args!(
            "{:<16} {:>9} {:>7} {:>24} {:>11} {:>9} {:>7} {:>7}",
            id,
            station.arrivals,
            percent(station.utilization),
            with_interval(station.waiting_s.mean),
            plain(station.waiting_s.p99),
            plain(station.in_station),
            station.rejected,
            station.failed
        ))?;
    }
    for (id, exact) in &answer.analytic {
        console.line(format_args!(
            "theory: {id} is {}, waiting {:.6} s, sojourn {:.6} s",
            exact.model, exact.waiting_s.mean, exact.sojourn_s.mean
        ))?;
    }
    for slo in &answer.slos {
        let value = slo
            .value
            .map_or_else(|| "unknown".to_owned(), |value| format!("{value:.4}"));
        let verdict = if slo.holds { "holds" } else { "DOES NOT HOLD" };
        console.line(format_args!(
            "promise {}: {} = {value}, limit {}: {verdict}",
            slo.id, slo.metric, slo.limit
        ))?;
    }
    for warning in &answer.warnings {
        console.line(format_args!("warning: {warning}"))?;
    }
    Ok(())
}

fn flow_line(
    name: &str,
    sojourn: &Spread,
    rate: Option<Value>,
    console: &mut Console<'_>,
) -> Result<(), CliError> {
    console.line(format_args!(
        "{:<16} {:>24} {:>11} {:>11} {:>11} {:>9}",
        name,
        with_interval(sojourn.mean),
        plain(sojourn.p50),
        plain(sojourn.p95),
        plain(sojourn.p99),
        plain(rate)
    ))
}

fn plain(value: Option<Value>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{:.4}", value.value))
}

fn percent(value: Option<Value>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| format!("{:.1} %", 100.0 * value.value),
    )
}

fn with_interval(value: Option<Value>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value { value, ci: None }) => format!("{value:.5}"),
        Some(Value {
            value,
            ci: Some([low, high]),
        }) => {
            format!("{value:.5} ± {:.5}", (high - low) / 2.0)
        }
    }
}
