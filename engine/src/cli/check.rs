//! `flowreel check SCENARIO`: validate without running.
//!
//! Belongs here: arguments and answers of this verb. Does not belong here: the checks (scenario).

use super::{CliError, Console, Outcome, scenario_file};
use flowreel_engine::analysis::find_overload;
use flowreel_engine::scenario::{Loaded, ScenarioError};
use serde::Serialize;
use std::path::PathBuf;

/// Validate a scenario; every problem is listed with its line and column.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: flowreel check scenarios/notification.toml")]
pub(super) struct Args {
    /// Scenario file.
    scenario: PathBuf,
    /// Change a value first: PATH=VALUE, stations by id.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    set: Vec<String>,
}

#[derive(Serialize)]
struct CheckAnswer {
    schema: &'static str,
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scenario: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    watch: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    expect: String,
    valid: bool,
    problems: Vec<ProblemAnswer>,
    /// Problems beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    more: usize,
    warnings: Vec<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the shape that serde calls"
)]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[derive(Serialize)]
struct ProblemAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<String>,
    error: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let text = scenario_file::read(&args.scenario)?;
    let file = args.scenario.display().to_string();
    match scenario_file::load(&args.scenario, &text, &args.set) {
        Ok(Loaded { scenario, .. }) => {
            let warnings: Vec<String> = find_overload(&scenario)
                .map(|overload| {
                    format!(
                        "`{}` is overloaded, utilization {:.3}: the model has no steady state",
                        overload.station, overload.utilization
                    )
                })
                .into_iter()
                .collect();
            let answer = CheckAnswer {
                schema: "flowreel.check/1",
                file,
                scenario: Some(scenario.topology.name.clone()),
                title: scenario.topology.title.clone(),
                watch: scenario.watch.clone(),
                expect: scenario.expect.clone(),
                valid: true,
                problems: Vec::new(),
                more: 0,
                warnings,
            };
            if console.json {
                console.answer(&answer)?;
            } else {
                console.line(format_args!(
                    "{}: {} is valid: {} stations, {} sources, {} classes",
                    answer.file,
                    scenario.topology.name,
                    scenario.stations.len(),
                    scenario.sources.len(),
                    scenario.classes().len()
                ))?;
                for (name, text) in [
                    ("title", &answer.title),
                    ("watch", &answer.watch),
                    ("expect", &answer.expect),
                ] {
                    if !text.is_empty() {
                        console.line(format_args!("{name}: {text}"))?;
                    }
                }
                for warning in &answer.warnings {
                    console.line(format_args!("warning: {warning}"))?;
                }
            }
            Ok(Outcome::Done)
        }
        Err(error) => report(file, &error, console),
    }
}

fn report(
    file: String,
    error: &ScenarioError,
    console: &mut Console<'_>,
) -> Result<Outcome, CliError> {
    for problem in &error.problems {
        let gap = if problem.override_text.is_some() {
            " "
        } else {
            ""
        };
        console.progress(format_args!("flowreel: {file}:{gap}{problem}"));
    }
    if error.more > 0 {
        console.progress(format_args!("flowreel: {file}: and {} more", error.more));
    }
    if console.json {
        console.answer(&CheckAnswer {
            schema: "flowreel.check/1",
            file,
            scenario: None,
            title: String::new(),
            watch: String::new(),
            expect: String::new(),
            valid: false,
            problems: error
                .problems
                .iter()
                .map(|problem| ProblemAnswer {
                    line: problem.line,
                    column: problem.column,
                    set: problem.override_text.clone(),
                    error: problem.message.clone(),
                    hint: problem.hint.clone(),
                })
                .collect(),
            more: error.more,
            warnings: Vec::new(),
        })?;
    }
    Ok(Outcome::BadInput)
}
