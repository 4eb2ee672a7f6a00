//! Tests by their names: that they are there, before a run of them counts for something.
//!
//! Belongs here: asking built tests for their names. Does not belong here: which ones are run, and why.
//!
//! Running tests by a name that none has succeeds, having run nothing.

use crate::environment::Environment;
use crate::process;
use anyhow::{Result, ensure};

/// Names of a package's tests of its whole, which are the program `it`.
pub(crate) fn of(environment: &Environment, package: &str) -> Result<Vec<String>> {
    let arguments = [
        "test", "--locked", "-p", package, "--test", "it", "--", "--list", "--format", "terse",
    ];
    let listed = process::output(&mut environment.cargo(&arguments))?;
    Ok(names(&listed))
}

/// Every part of a name stands in the name of a test.
pub(crate) fn all_match(all: &[String], parts: &[&str]) -> Result<()> {
    for part in parts {
        ensure!(
            all.iter().any(|name| name.contains(part)),
            "no test has `{part}` in its name any more; change it where it is run"
        );
    }
    Ok(())
}

fn names(listed: &str) -> Vec<String> {
    let lines = listed.lines();
    lines
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_that_was_renamed_is_missed() {
        let all =
            names("kills::killed_at_any_moment: test\nbalance::at_rest: test\nspeed: benchmark\n");
        assert_eq!(all, ["kills::killed_at_any_moment", "balance::at_rest"]);
        all_match(&all, &["killed_at_any", "at_rest"]).unwrap();
        let error = all_match(&all, &["killed_at_any", "clients_at"]).unwrap_err();
        assert!(error.to_string().contains("`clients_at`"), "{error}");
    }
}
