//! The simulate answer for people: one screen, estimates with their intervals, theory beneath them.
//!
//! Belongs here: columns and digits. Does not belong here: figures (analysis).

use super::{CliError, Console};
use flowreel_engine::analysis::{Answer, AtAnswer, Exact, Spread, StationAnswer, Value};

pub(super) fn print(answer: &Answer, console: &mut Console<'_>) -> Result<(), CliError> {
    head(answer, console)?;
    flows(answer, console)?;
    stations(answer, console)?;
    if let Some(system) = answer
        .analytic
        .get("system")
        .filter(|_| !answer.stations.contains_key("system"))
    {
        console.line(format_args!(""))?;
        console.line(format_args!(
            "theory, whole system ({}): sojourn {} s, {} present",
            system.model,
            digits(system.sojourn_s.mean),
            digits(system.in_station)
        ))?;
    }
    moments(&answer.at, console)?;
    verdicts(answer, console)
}

fn head(answer: &Answer, console: &mut Console<'_>) -> Result<(), CliError> {
    let runs = if answer.replications > 1 {
        format!(", {} replications", answer.replications)
    } else {
        String::new()
    };
    console.line(format_args!(
        "{}  seed {}{runs}, {} virtual s, {} events in {:.2} s ({:.2} M/s)",
        answer.scenario,
        answer.seed,
        digits(answer.virtual_duration_s),
        answer.events,
        answer.wall_s,
        answer.events_per_s / 1e6
    ))?;
    let from = if answer.replications > 1 {
        "95 % intervals from replications"
    } else if answer
        .system
        .sojourn_s
        .mean
        .is_some_and(|mean| mean.ci.is_some())
    {
        "95 % intervals from batches of one run"
    } else {
        "no intervals"
    };
    console.line(format_args!(
        "run hash {}  warm-up of {} s left out, {from}",
        answer.run_hash,
        digits(answer.warmup_s)
    ))?;
    let requests = &answer.requests;
    console.line(format_args!(
        "requests: {} started, {} completed, {} failed, {} rejected, {} abandoned, {} in flight",
        requests.started,
        requests.completed,
        requests.failed,
        requests.rejected,
        requests.abandoned,
        requests.in_flight
    ))
}

fn flows(answer: &Answer, console: &mut Console<'_>) -> Result<(), CliError> {
    console.line(format_args!(""))?;
    console.line(format_args!(
        "{:<20} {:>21} {:>9} {:>9} {:>21} {:>19}",
        "sojourn, s", "mean", "p50", "p90", "p99", "per s"
    ))?;
    let mut line = |name: &str, sojourn: &Spread, rate| {
        console.line(format_args!(
            "{name:<20} {:>21} {:>9} {:>9} {:>21} {:>19}",
            with_interval(sojourn.mean),
            plain(sojourn.p50),
            plain(sojourn.p90),
            with_interval(sojourn.p99),
            with_interval(rate)
        ))
    };
    let system = &answer.system;
    line("system", &system.sojourn_s, system.throughput_per_s)?;
    for (id, path) in &answer.paths {
        line(
            &format!("path {id}"),
            &path.sojourn_s,
            path.throughput_per_s,
        )?;
    }
    // The only class is the system again.
    if answer.classes.len() > 1 {
        for (id, class) in &answer.classes {
            line(
                &format!("class {id}"),
                &class.sojourn_s,
                class.throughput_per_s,
            )?;
        }
    }
    console.line(format_args!(
        "in the system: {}",
        with_interval(answer.system.in_system)
    ))
}

fn stations(answer: &Answer, console: &mut Console<'_>) -> Result<(), CliError> {
    console.line(format_args!(""))?;
    console.line(format_args!(
        "{:<20} {:>10} {:>8} {:>21} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "station",
        "arrivals",
        "busy",
        "waiting mean, s",
        "p99",
        "sojourn",
        "present",
        "waited",
        "refused",
        "left",
        "failed"
    ))?;
    for (id, station) in &answer.stations {
        station_line(id, station, console)?;
        if let Some(exact) = answer.analytic.get(id) {
            theory_line(exact, console)?;
        }
    }
    Ok(())
}

fn station_line(
    id: &str,
    station: &StationAnswer,
    console: &mut Console<'_>,
) -> Result<(), CliError> {
    console.line(format_args!(
        "{:<20} {:>10} {:>8} {:>21} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8}",
        id,
        station.arrivals,
        percent(station.utilization),
        with_interval(station.waiting_s.mean),
        plain(station.waiting_s.p99),
        plain(station.sojourn_s.mean),
        plain(station.in_station),
        percent(station.p_wait),
        percent(station.p_reject),
        percent(station.p_abandon),
        station.failed
    ))
}

fn theory_line(exact: &Exact, console: &mut Console<'_>) -> Result<(), CliError> {
    let share = |value: Option<f64>| value.map_or_else(String::new, percent_of);
    let waiting = exact.waiting_s;
    let line = format!(
        "{:<31} {:>8} {:>21} {:>9} {:>9} {:>9} {:>8} {:>8} {:>8}",
        format!("  theory {}", exact.model),
        share(exact.utilization),
        waiting.map_or_else(String::new, |times| digits(times.mean)),
        waiting
            .and_then(|times| times.p99)
            .map_or_else(String::new, digits),
        digits(exact.sojourn_s.mean),
        digits(exact.in_station),
        share(exact.p_wait),
        share(exact.p_reject),
        share(exact.p_abandon)
    );
    console.line(format_args!("{}", line.trim_end()))
}

fn moments(list: &[AtAnswer], console: &mut Console<'_>) -> Result<(), CliError> {
    if list.is_empty() {
        return Ok(());
    }
    console.line(format_args!(""))?;
    console.line(format_args!(
        "{:<20} {:>21} {:>21} {:>21}",
        "at, s", "in the system", "empty", "arrivals so far"
    ))?;
    for at in list {
        console.line(format_args!(
            "{:<20} {:>21} {:>21} {:>21}",
            digits(at.t_s),
            with_interval(at.in_system),
            with_interval(at.p_empty),
            with_interval(at.arrivals)
        ))?;
    }
    Ok(())
}

fn verdicts(answer: &Answer, console: &mut Console<'_>) -> Result<(), CliError> {
    if !(answer.slos.is_empty() && answer.warnings.is_empty() && answer.precision.is_none()) {
        console.line(format_args!(""))?;
    }
    if let Some(precision) = &answer.precision {
        let met = if precision.met { "met" } else { "NOT MET" };
        console.line(format_args!(
            "precision: {} asked, {met}",
            percent_of(precision.asked)
        ))?;
        for (figure, half) in &precision.half_widths {
            let half = half.map_or_else(|| "unknown".to_owned(), percent_of);
            console.line(format_args!("  {figure} to within {half}"))?;
        }
    }
    for slo in &answer.slos {
        let value = slo.value.map_or_else(|| "unknown".to_owned(), digits);
        let verdict = if slo.holds { "holds" } else { "DOES NOT HOLD" };
        console.line(format_args!(
            "promise {}: {} = {value}, limit {}: {verdict}",
            slo.id, slo.metric, slo.limit
        ))?;
    }
    for warning in &answer.warnings {
        console.line(format_args!("warning: {warning}"))?;
    }
    Ok(())
}

fn plain(value: Option<Value>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| digits(value.value))
}

fn percent(value: Option<Value>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| percent_of(value.value))
}

fn percent_of(share: f64) -> String {
    if share == 0.0 {
        "0 %".to_owned()
    } else if share.abs() < 0.01 {
        format!("{:.3} %", 100.0 * share)
    } else {
        format!("{:.1} %", 100.0 * share)
    }
}

/// Four significant digits, never an exponent.
fn digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    format!("{value:.*}", decimals(value, 3))
}

/// Decimals that show the first digit and `more` after it.
fn decimals(value: f64, more: i32) -> usize {
    let first = libm::floor(libm::log10(value.abs()));
    let mut count = 0;
    // A step at a time: casts of floats are not for a table.
    while count < 12 && f64::from(more) - first > f64::from(count) {
        count += 1;
    }
    usize::try_from(count).unwrap_or(0)
}

/// Two digits of the half width decide how many digits of the value mean something.
fn with_interval(value: Option<Value>) -> String {
    match value {
        None => "-".to_owned(),
        Some(Value { value, ci: None }) => digits(value),
        Some(Value {
            value,
            ci: Some([low, high]),
        }) => {
            let half = (high - low) / 2.0;
            if half <= 1e-12 * value.abs() {
                return format!("{} ± 0", digits(value));
            }
            let count = decimals(half, 1);
            format!("{value:.count$} ± {half:.count$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_show_the_digits_that_mean_something() {
        assert_eq!(
            [5.0, 0.000_123_456, 123_456.7, 0.0].map(digits),
            ["5.000", "0.0001235", "123457", "0"]
        );
        let with = |value, half: f64| {
            with_interval(Some(Value {
                value,
                ci: Some([value - half, value + half]),
            }))
        };
        assert_eq!(with(5.012_34, 0.083), "5.012 ± 0.083");
        assert_eq!(with(23.4, 1.9), "23.4 ± 1.9");
        assert_eq!(with(1234.5, 56.0), "1234 ± 56");
        assert_eq!(with(0.3, 0.0), "0.3000 ± 0");
        assert_eq!(
            [0.8, 0.004, 0.0].map(percent_of),
            ["80.0 %", "0.400 %", "0 %"]
        );
    }
}
