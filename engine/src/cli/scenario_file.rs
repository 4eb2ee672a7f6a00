//! Scenario files on the command line: reading one, and saying what is wrong with it.
//!
//! Belongs here: what `check` and `simulate` share. Does not belong here: the language (scenario).

use super::CliError;
use flowreel_engine::scenario::ScenarioError;
use std::fs;
use std::path::Path;

/// The file's text; anything that is no readable text is bad input.
pub(super) fn read(path: &Path) -> Result<String, CliError> {
    let place = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| {
        CliError::input(format!("cannot read the scenario: {error}"))
            .at(&place)
            .hint("name a scenario file, such as scenarios/notification.toml")
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        CliError::input("the scenario is not UTF-8 text")
            .at(format!("{place}: byte {at}"))
            .hint("name a scenario file, such as scenarios/notification.toml")
    })
}

/// The first problem as an error; `flowreel check` lists the others.
pub(super) fn first_problem(path: &Path, error: &ScenarioError) -> CliError {
    let Some(first) = error.problems.first() else {
        return CliError::input("the scenario cannot be read").at(path.display().to_string());
    };
    let others = error.problems.len() - 1 + error.more;
    let mut message = first.message.clone();
    if others > 0 {
        let plural = if others == 1 { "" } else { "s" };
        message =
            format!("{message} (and {others} more problem{plural}; `flowreel check` lists all)");
    }
    let place = match first.override_text {
        Some(_) => first.place(),
        None => format!("{}:{}", path.display(), first.place()),
    };
    let mut answer = CliError::input(message).at(place);
    if !first.hint.is_empty() {
        answer = answer.hint(&first.hint);
    }
    answer
}
