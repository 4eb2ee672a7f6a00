//! Scenarios: TOML as written becomes a model as meant, or a list of everything wrong with it.
//!
//! Belongs here: the language of scenario files. Does not belong here: running (kernel), files.

mod arrivals;
mod assemble;
pub mod distribution;
mod fault;
mod fields;
mod names;
mod problem;
mod raw;
pub(crate) mod rule;
mod shape;
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
        .and_then(|root| assemble::scenario(&root, &mut problems));
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
