//! What came out, for people.
//!
//! Belongs here: lines and tables. Does not belong here: judging (rule).

use crate::rule::Verdict;
use crate::run::Report;

/// One line about a case.
pub(crate) fn row(report: &Report) -> String {
    let [checks, inside, tight] = counts(report);
    format!(
        "{:<32} {checks:>3} checks {:>7} runs {:>7.1} M events  width {:.2}  distance {:.2}  {}",
        report.id,
        report.replications,
        millions(report.events),
        worst(report, Verdict::width_ratio),
        worst(report, Verdict::distance_ratio),
        if inside == checks && tight == checks {
            "ok"
        } else {
            "DOES NOT HOLD"
        }
    )
}

/// The line under all.
pub(crate) fn summary(reports: &[Report], checks_in_all: usize) -> String {
    let mut sums = [0, 0, 0];
    let mut events = 0;
    for report in reports {
        for (sum, count) in sums.iter_mut().zip(counts(report)) {
            *sum += count;
        }
        events += report.events;
    }
    let [checks, inside, tight] = sums;
    format!(
        "{} cases, {checks} of {checks_in_all} checks: {inside} inside, {tight} tight; {:.0} M events",
        reports.len(),
        millions(events)
    )
}

/// The whole table.
pub(crate) fn markdown(reports: &[Report], checks_in_all: usize) -> String {
    let mut text = format!("{}\n\n", summary(reports, checks_in_all));
    text += "| case | checks | runs | M events | widest, share of allowance | farthest, share of half-width |\n";
    text += "|---|---|---|---|---|---|\n";
    for report in reports {
        text += &format!(
            "| {} | {} | {} | {:.1} | {:.2} | {:.2} |\n",
            report.id,
            report.verdicts.len(),
            report.replications,
            millions(report.events),
            worst(report, Verdict::width_ratio),
            worst(report, Verdict::distance_ratio)
        );
    }
    text
}

fn counts(report: &Report) -> [usize; 3] {
    let inside = report
        .verdicts
        .iter()
        .filter(|verdict| verdict.is_inside)
        .count();
    let tight = report
        .verdicts
        .iter()
        .filter(|verdict| verdict.is_tight)
        .count();
    [report.verdicts.len(), inside, tight]
}

fn worst(report: &Report, measure: fn(&Verdict) -> f64) -> f64 {
    report.verdicts.iter().map(measure).fold(0.0, f64::max)
}

#[expect(clippy::cast_precision_loss, reason = "shown to one digit")]
fn millions(events: u64) -> f64 {
    events as f64 / 1e6
}
