//! A list of steps, each timed and named, with a table at the end.
//!
//! Belongs here: running steps, saying how long they took. Does not belong here: the steps.

use crate::talk;
use anyhow::Result;
use std::time::{Duration, Instant};

/// How one step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// What it checks holds; with a remark or an empty text.
    Passed(String),
    /// What it checks does not hold; says what.
    Failed(String),
    /// It could not run here; says why.
    Skipped(String),
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, Ending)>,
}

impl Steps {
    /// Runs one step and writes down how it ended; an error is a failure, and the next step still runs.
    pub(crate) fn run(&mut self, name: &str, step: impl FnOnce() -> Result<Ending>) -> bool {
        talk::say(&format!("==> {name}"));
        let watch = Stopwatch::start();
        let ending = step().unwrap_or_else(|error| Ending::Failed(format!("{error:#}")));
        let time = watch.elapsed();
        talk::say(&format!(
            "    {name}: {} ({})",
            word(&ending),
            talk::seconds(time)
        ));
        if let Ending::Failed(why) | Ending::Skipped(why) = &ending {
            talk::say(&format!("    {why}"));
        }
        let passed = matches!(ending, Ending::Passed(_));
        self.done.push((name.to_owned(), time, ending));
        passed
    }

    /// True where no step failed.
    pub(crate) fn holds(&self) -> bool {
        !self
            .done
            .iter()
            .any(|(_, _, ending)| matches!(ending, Ending::Failed(_)))
    }

    /// The table of all steps.
    pub(crate) fn summary(&self) -> String {
        let mut rows = vec![
            ["step", "result", "time", "remark"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for (name, time, ending) in &self.done {
            let (Ending::Passed(remark) | Ending::Failed(remark) | Ending::Skipped(remark)) =
                ending;
            let first_line = remark.lines().next().unwrap_or_default();
            rows.push(vec![
                name.clone(),
                word(ending).to_owned(),
                talk::seconds(*time),
                first_line.to_owned(),
            ]);
        }
        talk::table(&rows)
    }
}

fn word(ending: &Ending) -> &'static str {
    match ending {
        Ending::Passed(_) => "ok",
        Ending::Failed(_) => "FAILED",
        Ending::Skipped(_) => "skipped",
    }
}

/// Measures how long something takes.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one clock of xtask: how long steps take"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_is_remembered_and_the_next_one_runs() {
        let mut steps = Steps::default();
        assert!(!steps.run("first", || anyhow::bail!("no such file")));
        assert!(steps.run("second", || Ok(Ending::Passed(String::new()))));
        assert!(!steps.holds());
        assert!(steps.summary().contains("no such file"));
    }

    #[test]
    fn a_skipped_step_does_not_fail_the_run() {
        let mut steps = Steps::default();
        steps.run("deny", || {
            Ok(Ending::Skipped("cargo-deny is not installed".to_owned()))
        });
        assert!(steps.holds());
    }
}
