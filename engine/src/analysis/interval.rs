//! Confidence intervals: Student's t, ratios over batches.
//!
//! Belongs here: formulas over a handful of numbers. Does not belong here: collecting them.

/// Confidence of every interval in an answer.
const CONFIDENCE: f64 = 0.95;

/// An estimate with its 95 % interval, where one can be had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) value: f64,
    pub(super) ci: Option<[f64; 2]>,
}

/// Mean of independent values and its interval at the given confidence; `None` for fewer than two.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a handful of values")]
pub fn mean_interval(values: &[f64], confidence: f64) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values
        .iter()
        .map(|value| (value - mean) * (value - mean))
        .sum();
    let error = (squares / (count - 1.0) / count).sqrt();
    let t = student_t_quantile(f64::midpoint(1.0, confidence), count - 1.0);
    Some((mean, t * error))
}

/// Half the interval of a mean, from the sum of squares about it; `None` for fewer than two values.
pub(super) fn half_width(squares: f64, count: f64) -> Option<f64> {
    (count >= 2.0).then(|| {
        let error = (squares / (count - 1.0) / count).sqrt();
        student_t_quantile(f64::midpoint(1.0, CONFIDENCE), count - 1.0) * error
    })
}

/// Sum over sum, with the interval of a ratio of batch sums (Law 2015, sec. 9.5).
#[expect(clippy::cast_precision_loss, reason = "a handful of batches")]
pub(super) fn ratio(total: (f64, f64), batches: &[(f64, f64)]) -> Option<Estimate> {
    if total.1 <= 0.0 {
        return None;
    }
    let value = total.0 / total.1;
    let weight: f64 = batches.iter().map(|(_, below)| below).sum();
    let ci = (batches.len() >= 2 && weight > 0.0).then(|| {
        let inner: f64 = batches.iter().map(|(above, _)| above).sum::<f64>() / weight;
        let count = batches.len() as f64;
        let squares: f64 = batches
            .iter()
            .map(|(above, below)| (above - inner * below) * (above - inner * below))
            .sum();
        let error = (count / (count - 1.0) * squares).sqrt() / weight;
        let half = student_t_quantile(f64::midpoint(1.0, CONFIDENCE), count - 1.0) * error;
        [value - half, value + half]
    });
    Some(Estimate { value, ci })
}

/// Quantile of Student's t at probability `p` (from 0 to 1) with `df` degrees of freedom.
#[must_use]
pub fn student_t_quantile(p: f64, df: f64) -> f64 {
    if p < 0.5 {
        return -student_t_quantile(1.0 - p, df);
    }
    let (mut low, mut high) = (0.0, 1.0);
    while student_t_cdf(high, df) < p && high < 1e12 {
        high *= 2.0;
    }
    for _ in 0..80 {
        let middle = f64::midpoint(low, high);
        if student_t_cdf(middle, df) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

fn student_t_cdf(t: f64, df: f64) -> f64 {
    1.0 - 0.5 * incomplete_beta(df / (df + t * t), df / 2.0, 0.5)
}

/// Regularized incomplete beta function by its continued fraction (Abramowitz & Stegun 26.5.8).
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = libm::exp(
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
            + a * libm::log(x)
            + b * libm::log1p(-x),
    );
    let keep = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / keep(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..300 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / keep(1.0 + even * d);
        c = keep(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / keep(1.0 + odd * d);
        c = keep(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front * fraction / a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_quantiles_are_those_of_the_tables() {
        for (p, df, t) in [
            (0.975, 1.0, 12.706_205),
            (0.975, 4.0, 2.776_445),
            (0.975, 19.0, 2.093_024),
            (0.995, 30.0, 2.749_996),
            (0.999_999, 19.0, 6.723_394),
            (0.025, 19.0, -2.093_024),
        ] {
            let value = student_t_quantile(p, df);
            assert!(
                (value - t).abs() < 2e-5 * t.abs(),
                "t({p}, {df}) = {value}, not {t}"
            );
        }
    }

    #[test]
    fn a_ratio_without_noise_has_an_interval_without_width() {
        let estimate = ratio((6.0, 3.0), &[(2.0, 1.0), (4.0, 2.0)]).unwrap();
        assert_eq!((estimate.value, estimate.ci), (2.0, Some([2.0, 2.0])));
        assert_eq!(ratio((1.0, 2.0), &[(1.0, 2.0)]).unwrap().ci, None);
        assert_eq!(ratio((1.0, 0.0), &[]), None);
    }
}
