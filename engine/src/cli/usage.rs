//! Usage errors and help: clap's words in our shape.
//!
//! Belongs here: turning a clap error into one sentence. Does not belong here: the verbs.

use super::{CliError, Console, Outcome};
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Prints help and versions; everything else becomes an error with exit code 2.
pub(super) fn answer(error: &clap::Error, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let text = error.render().to_string();
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        console.text(&text)?;
        console.flush()?;
        return Ok(Outcome::Done);
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(CliError::input("no verb was given").hint("see `flowreel --help`"));
    }
    // The first paragraph is the error, the rest is usage; one sentence takes one line.
    let sentence: Vec<&str> = text
        .lines()
        .take_while(|line| !line.trim().is_empty())
        .map(|line| line.trim().trim_start_matches("error: "))
        .collect();
    Err(CliError::input(sentence.join(" ")).hint(hint(error)))
}

/// The nearest valid name where clap found one (it lists the best last), else where to read on.
fn hint(error: &clap::Error) -> String {
    let suggestion = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ]
    .into_iter()
    .find_map(|kind| match error.get(kind) {
        Some(ContextValue::String(name)) => Some(name.clone()),
        Some(ContextValue::Strings(names)) => names.last().cloned(),
        _ => None,
    });
    match suggestion {
        Some(name) => format!("did you mean `{name}`?"),
        None => String::from("see `flowreel --help`"),
    }
}
