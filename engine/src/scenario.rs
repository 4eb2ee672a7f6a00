//! Scenarios: TOML as written becomes a model as meant, or a list of everything wrong with it.
//!
//! Belongs here: the language of scenario files. Does not belong here: running (kernel), files.

mod arrivals;
mod autoscale;
pub(crate) mod blocking;
mod class;
mod component;
mod depth;
pub mod distribution;
mod document;
mod edge;
mod fault;
mod fields;
mod files;
mod graph;
mod header;
pub mod limit;
pub(crate) mod line;
mod names;
mod observe;
mod path;
mod problem;
mod raw;
pub(crate) mod rule;
mod schema;
mod setting;
pub(crate) mod shape;
mod slo;
mod source;
mod split;
mod station;
mod trap;
pub mod valid;

pub use files::ReadFile;
pub use problem::{Problem, ScenarioError, nearest_hint};
pub use schema::SCHEMA_JSON;
pub use valid::Scenario;

/// A scenario and what its files said.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// Ready to run.
    pub scenario: Scenario,
    /// Overrides that stand in for the files: with them the text alone is the whole scenario.
    pub settings: Vec<String>,
}

/// Reads a scenario that names no files and applies overrides (`PATH=VALUE`, see CONTRACT §4) to it.
///
/// # Errors
/// [`ScenarioError`] with every problem found and its place.
pub fn load(text: &str, overrides: &[String]) -> Result<Scenario, ScenarioError> {
    read(text, overrides, None).map(|loaded| loaded.scenario)
}

/// Like [`load`], reading the files that the scenario names with `read_file`.
///
/// # Errors
/// [`ScenarioError`] with every problem found and its place.
pub fn load_with_files(
    text: &str,
    overrides: &[String],
    read_file: ReadFile<'_>,
) -> Result<Loaded, ScenarioError> {
    read(text, overrides, Some(read_file))
}

fn read(
    text: &str,
    overrides: &[String],
    read_file: Option<ReadFile<'_>>,
) -> Result<Loaded, ScenarioError> {
    // A mark that some editors put first; places count without it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut problems = problem::Problems::new(text, overrides);
    let mut settings = Vec::new();
    let scenario = raw::read(text, overrides, &mut problems).and_then(|mut root| {
        settings = files::resolve(&mut root, read_file, &mut problems);
        document::scenario(&root, &mut problems)
    });
    problems.into_result()?;
    let scenario = scenario.ok_or_else(|| ScenarioError {
        problems: vec![Problem {
            line: Some(1),
            column: Some(1),
            override_text: None,
            message: "scenario cannot be read".to_owned(),
            hint: "compare it with one that ships".to_owned(),
        }],
        more: 0,
    })?;
    Ok(Loaded { scenario, settings })
}
