//! Moments of `observe_at_s` against exact values of systems that start empty.
//!
//! The exact values are numerical solutions of the Kolmogorov equations, and for infinitely many
//! servers a closed form, of the shared table of queueing models.

use flowreel_engine::analysis::{Answer, replicate, student_t_quantile};
use flowreel_engine::scenario::load;
use serde_json::Value;

/// Values at each moment: in the system, empty, arrivals so far, variance; NaN where unknown.
type Row = (f64, [f64; 4]);

fn check(text: &str, replications: usize, rows: &[Row], allowance: f64) {
    let scenario = load(text, &[]).expect("valid");
    let runs = replicate(&scenario, 5, replications, 2).expect("the runs end");
    let answer: Value = serde_json::to_value(Answer::new(&scenario, 5, &runs)).expect("an object");
    let df = (replications - 1) as f64;
    // A family of 60 checks fails by chance once in a thousand runs of the suite.
    let widen = student_t_quantile(1.0 - 0.0005 / 60.0, df) / student_t_quantile(0.975, df);
    assert_eq!(answer["at"].as_array().map(Vec::len), Some(rows.len()));
    for (index, (t_s, exact)) in rows.iter().enumerate() {
        let at = &answer["at"][index];
        assert_eq!(at["t_s"].as_f64(), Some(*t_s));
        for (key, exact) in ["in_system", "p_empty", "arrivals", "variance"]
            .iter()
            .zip(exact)
        {
            if exact.is_nan() {
                continue;
            }
            let number = |value: &Value| value.as_f64().expect("a number");
            let value = number(&at[key]["value"]);
            let half = widen * (number(&at[key]["ci"][1]) - number(&at[key]["ci"][0])) / 2.0;
            assert!(
                (value - exact).abs() <= half,
                "{t_s} s, {key}: {exact} is outside {value} ± {half}"
            );
            let limit = if *key == "variance" { 4.0 } else { 1.0 } * allowance * exact;
            assert!(
                half <= limit.max(0.06),
                "{t_s} s, {key}: ± {half} of {exact} is wide"
            );
        }
    }
}

fn scenario(duration: &str, moments: &str, arrivals: &str, servers: &str, mean_s: f64) -> String {
    format!(
        "schema = 1\nname = \"transient\"\nduration = \"{duration}\"\nwarmup = \"0s\"\nobserve_at_s = {moments}\n\
         [[source]]\nid = \"a\"\narrivals = {arrivals}\nto = \"s\"\n\
         [[station]]\nid = \"s\"\nservers = {servers}\nservice = {{ dist = \"exponential\", mean_s = {mean_s} }}\n"
    )
}

#[test]
fn an_empty_mm1_fills_as_its_equations_say() {
    check(
        &scenario(
            "50s",
            "[1, 5, 20, 50]",
            "{ process = \"poisson\", rate_per_s = 0.8 }",
            "1",
            1.0,
        ),
        2_500,
        &[
            (1.0, [0.551_551_858_3, 0.597_398_750_3, 0.8, f64::NAN]),
            (5.0, [1.469_460_828, 0.348_967_942_9, 4.0, f64::NAN]),
            (20.0, [2.647_634_924, 0.244_852_397_9, 16.0, f64::NAN]),
            (50.0, [3.405_038_978, 0.214_117_916_9, 40.0, f64::NAN]),
        ],
        0.16,
    );
}

#[test]
fn a_rush_and_a_lull_of_every_day_come_and_go() {
    check(
        &scenario(
            "120s",
            "[30, 60, 90, 120]",
            "{ process = \"steps\", steps = [[0, 1.3], [30, 0.3], [60, 1.3], [90, 0.3], [120, 0.3]] }",
            "1",
            1.0,
        ),
        1_500,
        &[
            (30.0, [11.860_929_93, 0.019_386_203_02, 39.0, f64::NAN]),
            (60.0, [1.174_307_902, 0.611_386_262_1, 48.0, f64::NAN]),
            (90.0, [12.506_663_35, 0.017_899_211_37, 87.0, f64::NAN]),
            (120.0, [1.373_742_952, 0.596_484_465_7, 96.0, f64::NAN]),
        ],
        0.33,
    );
}

#[test]
fn a_sine_on_infinitely_many_servers_is_poisson_at_every_moment() {
    let row = |t_s, level: f64, arrivals| (t_s, [level, f64::NAN, arrivals, level]);
    check(
        &scenario(
            "75s",
            "[10, 30, 45, 75]",
            "{ process = \"diurnal\", rate_per_s = 20.0, amplitude = 0.8, period_s = 60.0 }",
            "\"infinite\"",
            5.0,
        ),
        500,
        &[
            row(10.0, 128.852_966, 276.394_372_7),
            row(30.0, 132.708_640_6, 905.577_490_7),
            row(45.0, 37.205_039_9, 1_052.788_745),
            row(75.0, 162.786_655_7, 1_652.788_745),
        ],
        0.09,
    );
}

#[test]
fn moments_must_rise_and_lie_within_the_run() {
    let arrivals = "{ process = \"poisson\", rate_per_s = 0.8 }";
    for (moments, words) in [
        ("[5, 1]", "do not rise"),
        ("[1, 51]", "the run ends after 50 s"),
        ("[-1]", "0 or above"),
        ("[1e20]", "past the end of time"),
        ("[]", "is empty"),
        ("\"soon\"", "a text"),
    ] {
        let error = load(&scenario("50s", moments, arrivals, "1", 1.0), &[]).unwrap_err();
        let first = &error.problems[0];
        assert_eq!(first.line, Some(5), "{moments}");
        let said = format!("{} {}", first.message, first.hint);
        assert!(said.contains(words), "{moments}: {said}");
    }
}

#[test]
fn a_run_that_ends_before_a_moment_says_so() {
    let text = scenario(
        "50s",
        "[1, 40]",
        "{ process = \"poisson\", rate_per_s = 0.8 }",
        "1",
        1.0,
    );
    let scenario = load(&text, &["requests=5".to_owned()]).expect("valid");
    let runs = replicate(&scenario, 5, 10, 2).expect("the runs end");
    let answer = Answer::new(&scenario, 5, &runs);
    assert_eq!(answer.at[0].runs, 10);
    assert!(answer.at[1].runs < 10);
    assert!(
        answer
            .warnings
            .iter()
            .any(|text| text.contains("before 40 s")),
        "{:?}",
        answer.warnings
    );
}
