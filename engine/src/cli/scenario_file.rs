//! Scenario files on the command line: reading one, and saying what is wrong with it.
//!
//! Belongs here: what verbs with a scenario share. Does not belong here: the language (scenario).

use super::CliError;
use flowreel_engine::scenario::{Loaded, ScenarioError, load_with_files};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A scenario is written by people.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// A file of arrival times or samples; ten million of them fit.
const DATA_BYTES_MAX: u64 = 256 << 20;
const HINT: &str = "name a scenario file, such as scenarios/notification.toml";

/// The file's text; anything that is no readable text is bad input.
pub(super) fn read(path: &Path) -> Result<String, CliError> {
    let place = path.display().to_string();
    let bytes = read_bytes(path, TEXT_BYTES_MAX).map_err(|why| {
        CliError::input(format!("cannot read the scenario: {why}"))
            .at(&place)
            .hint(HINT)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..at).unwrap_or(&[]);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let column = 1 + String::from_utf8_lossy(before.get(start..).unwrap_or(&[]))
            .chars()
            .count();
        CliError::input("the scenario is not UTF-8 text")
            .at(format!("{place}:{line}:{column}"))
            .hint(HINT)
    })
}

/// Reads what the text means, with the files that it names beside the scenario.
pub(super) fn load(path: &Path, text: &str, overrides: &[String]) -> Result<Loaded, ScenarioError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    load_with_files(text, overrides, &|name| {
        let bytes = read_bytes(&folder.join(name), DATA_BYTES_MAX)?;
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            format!("it is not UTF-8 text at byte {at}")
        })
    })
}

/// Bounded, so that no endless file (a device, a pipe) fills the memory.
fn read_bytes(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let why = |error: io::Error| match error.kind() {
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(why)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(why)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > most) {
        return Err(format!("it has more than {most} bytes"));
    }
    Ok(bytes)
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
