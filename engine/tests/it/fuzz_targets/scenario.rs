//! Scenario files: a wrong one is told with its places, a right one runs as an honest run.
//!
//! Belongs here: promises of `load` and of the kernel over any text. Does not belong here: what a scenario means.

use flowreel_engine::kernel::{EventSink, Kernel};
use flowreel_engine::model::check::StreamCheck;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::scenario::load;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Events of one run.
const EVENTS_MAX: u64 = 3000;
/// Lines that begin so are overrides.
const OVERRIDE_MARK: &str = "#set ";

/// The run has shown enough.
struct Enough;

/// Takes a scenario; comments `#set PATH=VALUE` in it are overrides.
pub(crate) fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let overrides: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix(OVERRIDE_MARK))
        .map(str::to_owned)
        .collect();
    match load(&text, &overrides) {
        Err(error) => {
            assert!(
                !error.problems.is_empty(),
                "a scenario is refused for a reason"
            );
            for problem in &error.problems {
                assert!(
                    !problem.message.is_empty() && !problem.hint.is_empty(),
                    "{problem}"
                );
                assert!(
                    problem.line.is_some() || problem.override_text.is_some(),
                    "{problem}"
                );
                let line = problem.line.unwrap_or(1);
                assert!((1..=text.split('\n').count()).contains(&line), "{problem}");
            }
        }
        Ok(scenario) => {
            let mut check = StreamCheck::new(&scenario.topology);
            let Ok(mut kernel) = Kernel::new(&scenario, 7) else {
                return;
            };
            let mut sink = EventSink(|event: &_| {
                check.apply(event).expect("a run is honest");
                if check.state().event_count() == EVENTS_MAX {
                    // Not a panic: nothing is wrong, and there is no other way out of a run.
                    resume_unwind(Box::new(Enough));
                }
            });
            let run = catch_unwind(AssertUnwindSafe(|| {
                kernel.run_until(TimeNs::MAX, &mut sink)
            }));
            match run {
                Ok(_) => check.check_levels().expect("a run is honest"),
                Err(cause) if cause.is::<Enough>() => {}
                Err(cause) => resume_unwind(cause),
            }
        }
    }
}
