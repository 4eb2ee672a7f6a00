//! `flowreel simulate SCENARIO`: run a model, say what it does and how sure that is.
//!
//! Belongs here: arguments, the clock around the run, the table for people. Does not belong here:
//! running (kernel), measuring (analysis).

use super::simulate_out::Recorder;
use super::{CliError, Console, Outcome, scenario_file, simulate_table};
use flowreel_engine::analysis::{
    Answer, Precision, Runs, Timing, find_overload, replicate, run_until_precise, simulate,
};
use flowreel_engine::kernel::{EventSink, KernelError};
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::time::parse_duration_ns;
use flowreel_engine::scenario::valid::{Stop, Warmup};
use flowreel_engine::scenario::{Loaded, Scenario, load};
use std::path::{Path, PathBuf};

/// Run a model and print its statistics with confidence intervals.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel simulate scenarios/notification.toml --duration 10m --out run.reel"
)]
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
    /// Run until the mean sojourn of the system and of every path is known this well (95 % half width
    /// as a share of the mean): 1% or 0.01. One run grows longer, several become more.
    #[arg(long, value_name = "SHARE", value_parser = precision)]
    precision: Option<f64>,
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

fn precision(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.trim().strip_suffix('%') {
        Some(number) => (number.trim_end(), 0.01),
        None => (text.trim(), 1.0),
    };
    let share = number.parse::<f64>().map(|number| number * unit);
    share
        .ok()
        .filter(|share| (0.0001..=0.5).contains(share))
        .ok_or_else(|| "write a share from 0.01% to 50%, such as 1%".to_owned())
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
    let Loaded {
        mut scenario,
        settings,
    } = scenario_file::load(&args.scenario, &text, &overrides)
        .map_err(|error| scenario_file::first_problem(&args.scenario, &error))?;
    // With what its files said, the reel holds all that a run needs.
    let embedded = [overrides, settings].concat();
    let seed = args.seed.unwrap_or(scenario.seed);
    let overload = refuse_overload(args, &scenario)?;
    if overload.is_some() && scenario.warmup == Warmup::Auto {
        // Nothing settles, so there is no warm-up to leave out.
        scenario.warmup = Warmup::Fixed(0);
    }
    if args.out.is_some() && args.replications > 1 {
        return Err(
            CliError::input("a reel holds one run, not several replications")
                .hint("leave out --out or --replications"),
        );
    }
    if args.precision.is_some() && overload.is_some() && args.replications == 1 {
        return Err(
            CliError::input("one run of a model without steady state has no precision")
                .hint("add --replications, or leave out --precision"),
        );
    }
    let job = Job {
        args,
        text: &text,
        overrides: embedded,
        scenario,
        seed,
        is_transient: overload.is_some(),
    };
    let (mut answer, wall_s) = timed(|| job.run())?;
    if let Some(warning) = overload {
        answer.warnings.insert(0, warning);
    }
    Timing { wall_s }.note(&mut answer);
    if console.json {
        console.answer(&answer)?;
    } else {
        simulate_table::print(&answer, console)?;
    }
    let is_precise = answer.precision.as_ref().is_none_or(|asked| asked.met);
    Ok(if answer.slos_hold() && is_precise {
        Outcome::Done
    } else {
        Outcome::DoesNotHold
    })
}

/// What there is to run.
struct Job<'a> {
    args: &'a Args,
    text: &'a str,
    overrides: Vec<String>,
    scenario: Scenario,
    seed: u64,
    is_transient: bool,
}

impl Job<'_> {
    fn run(mut self) -> Result<Answer, CliError> {
        let mut precision: Option<Precision> = None;
        let mut runs: Option<Runs> = None;
        let replications = usize::try_from(self.args.replications).unwrap_or(1);
        if let Some(asked) = self.args.precision {
            let precise = run_until_precise(
                &self.scenario,
                self.seed,
                replications,
                threads(self.args),
                asked,
            );
            let precise = precise.map_err(|error| self.failed(&error))?;
            // A reel embeds the length that was found, so that it can be simulated again.
            self.overrides.push(match precise.scenario.stop {
                Stop::Requests(count) => format!("requests={count}"),
                Stop::Duration(ns) => format!("duration=\"{ns}ns\""),
            });
            self.scenario = if self.args.out.is_some() {
                load(self.text, &self.overrides)
                    .map_err(|error| scenario_file::first_problem(&self.args.scenario, &error))?
            } else {
                precise.scenario
            };
            precision = Some(precise.precision);
            runs = Some(precise.runs);
        }
        let mut answer = if let Some(out) = &self.args.out {
            self.record(out)?
        } else {
            let mut runs = match runs {
                Some(runs) => runs,
                None => replicate(&self.scenario, self.seed, replications, threads(self.args))
                    .map_err(|error| self.failed(&error))?,
            };
            self.answer(&mut runs)
        };
        if let Some(precision) = precision {
            answer.note_precision(precision);
        }
        Ok(answer)
    }

    fn record(&self, out: &Path) -> Result<Answer, CliError> {
        let mut recorder = Recorder::create(
            out,
            &self.args.scenario,
            self.text,
            self.seed,
            &self.overrides,
            &self.scenario,
        )?;
        let mut push = EventSink(|event: &StageEvent| recorder.push(event));
        let figures = simulate(&self.scenario, self.seed, &mut push);
        let figures = figures.map_err(|error| self.failed(&error))?;
        let answer = self.answer(&mut Runs::one(&self.scenario, figures));
        recorder.finish(&answer)?;
        Ok(answer)
    }

    fn answer(&self, runs: &mut Runs) -> Answer {
        if self.is_transient {
            runs.say_transient();
        }
        Answer::new(&self.scenario, self.seed, runs)
    }

    fn failed(&self, error: &KernelError) -> CliError {
        CliError::input(error.to_string()).at(self.args.scenario.display().to_string())
    }
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
