//! Running other programs.
//!
//! Belongs here: start, wait, name what failed. Does not belong here: which programs, and why.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// Runs it with our terminal; an error names the command that failed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    let status = command
        .status()
        .with_context(|| format!("`{shown}` could not be started"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs it and returns what it wrote on standard output; its standard error is ours.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("`{shown}` could not be started"))?;
    if !output.status.success() {
        bail!("`{shown}` ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` did not write UTF-8"))
}

/// The command as one would type it, folders of programs left out.
pub(crate) fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let mut text = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        let argument = argument.to_string_lossy();
        if argument.is_empty() || argument.contains(char::is_whitespace) {
            text.push('\'');
            text.push_str(&argument);
            text.push('\'');
        } else {
            text.push_str(&argument);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_how_it_ended() {
        let error = run(Command::new("sh").args(["-c", "exit 7"])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("sh -c 'exit 7'") && text.contains('7'),
            "{text}"
        );
    }

    #[test]
    fn a_missing_program_is_an_error_and_not_a_panic() {
        let error = output(&mut Command::new("flowreel-no-such-program")).unwrap_err();
        assert!(error.to_string().contains("could not be started"));
    }
}
