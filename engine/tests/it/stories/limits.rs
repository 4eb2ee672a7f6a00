//! Stories of limits: retries without a budget, and a breaker.
//!
//! Belongs here: what timeouts, retries and breakers come to. Does not belong here: other stories.

use super::is_short;
use super::told::{Told, quantile, sojourns, tell};

#[test]
fn a_retry_storm_outlives_its_cause_unless_retries_have_a_budget() {
    let told = tell("retry-storm", &[]);
    is_short(&told);
    // Three minutes after the load is normal again; 70 requests a second come all the time.
    let goodput = |told: &Told, from_s: f64| {
        let good = told.requests.iter().filter(|end| end.is_ok);
        let within = good.filter(|end| (from_s..from_s + 30.0).contains(&end.at_s));
        within.count() as f64 / (70.0 * 30.0)
    };
    assert!(goodput(&told, 60.0) > 0.9, "{}", goodput(&told, 60.0));
    for from_s in [200.0, 320.0] {
        assert!(goodput(&told, from_s) < 0.5, "{}", goodput(&told, from_s));
    }
    let budget = tell("retry-storm", &["station.api.on_failure.budget_per_s=7"]);
    assert!(goodput(&budget, 320.0) > 0.9, "{}", goodput(&budget, 320.0));
}

#[test]
fn a_breaker_keeps_servers_free_while_the_provider_is_ill() {
    let after = |told: &Told| quantile(0.9, sojourns(&told.requests, 315.0, 360.0));
    let longest = |told: &Told| told.at("api").longest_wait_s();
    let told = tell("breaker-saves-the-day", &[]);
    is_short(&told);
    assert!(
        after(&told) < 1.0 && longest(&told) < 10.0,
        "{} {}",
        after(&told),
        longest(&told)
    );
    let without = tell(
        "breaker-saves-the-day",
        &["station.payment.breaker.failures=1000000"],
    );
    assert!(
        after(&without) > 15.0 && longest(&without) > 60.0,
        "{} {}",
        after(&without),
        longest(&without)
    );
}
