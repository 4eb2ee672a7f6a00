//! Scenarios: TOML as written becomes a model as meant, or a list of everything wrong with it.
//!
//! Belongs here: the language of scenario files. Does not belong here: running (kernel), files.

mod arrivals;
mod class;
mod component;
pub mod distribution;
mod document;
mod edge;
mod fault;
mod fields;
mod graph;
mod header;
mod names;
mod path;
mod problem;
mod raw;
pub(crate) mod rule;
mod shape;
mod slo;
mod source;
mod station;
pub mod valid;

pub use problem::{Problem, ScenarioError};
pub use valid::Scenario;

/// Reads a scenario and applies overrides (`PATH=VALUE`, see CONTRACT §4) to it.
///
/// # Errors
/// [`ScenarioError`] with every problem found and its place.
pub fn load(text: &str, overrides: &[String]) -> Result<Scenario, ScenarioError> {
    let mut problems = problem::Problems::new(text, overrides);
    let scenario = raw::read(text, overrides, &mut problems)
        .and_then(|root| document::scenario(&root, &mut problems));
    problems.into_result()?;
    scenario.ok_or_else(|| ScenarioError {
        problems: vec![Problem {
            line: Some(1),
            column: Some(1),
            override_text: None,
            message: "scenario cannot be read".to_owned(),
            hint: "compare it with one that ships".to_owned(),
        }],
        more: 0,
    })
}
