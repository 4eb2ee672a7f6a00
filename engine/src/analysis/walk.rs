//! One walk over every figure of the answer, whatever the runs are: batches of one run, or many runs.
//!
//! Belongs here: how an estimate and its interval come from one run's batches or from replications.
//! Does not belong here: which figures there are (answer), formulas of intervals (interval).
//!
//! Replications leave five sums per figure behind, not their histograms: memory does not grow with
//! their number, and merging in their order gives the same bits for any number of threads.

use super::answer::Value;
use super::batch::Batch;
use super::histogram::Durations;
use super::interval::{half_width, ratio};
use std::cell::{Cell, RefCell};

/// Sums over replications of a pair of numbers, each about its mean (Welford), in the order of replications.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    count: f64,
    mean: [f64; 2],
    /// Sums of squares of both, and of their product, about their means.
    squares: [f64; 2],
    product: f64,
}

impl Moments {
    pub(super) fn add(&mut self, above: f64, below: f64) {
        self.count += 1.0;
        let off = [above - self.mean[0], below - self.mean[1]];
        self.mean[0] += off[0] / self.count;
        self.mean[1] += off[1] / self.count;
        let now_off = [above - self.mean[0], below - self.mean[1]];
        self.squares[0] += off[0] * now_off[0];
        self.squares[1] += off[1] * now_off[1];
        self.product += off[0] * now_off[1];
    }

    /// Mean and interval of the first numbers.
    pub(super) fn mean(&self) -> Option<Value> {
        let half = half_width(self.squares[0], self.count);
        (self.count > 0.0).then(|| around(self.mean[0], half))
    }

    /// Sum over sum, with the interval of a ratio of means (Law 2015, sec. 9.5).
    fn ratio(&self, value: f64) -> Value {
        let squares =
            self.squares[0] - 2.0 * value * self.product + value * value * self.squares[1];
        let half = half_width(squares.max(0.0), self.count).map(|half| half / self.mean[1]);
        around(value, half)
    }

    /// Sectioning (Asmussen & Glynn 2007, sec. III.5): the spread of the runs' own quantiles about
    /// the quantile of all of them together.
    fn section(&self, point: f64) -> Value {
        let off = self.mean[0] - point;
        around(
            point,
            half_width(self.squares[0] + self.count * off * off, self.count),
        )
    }
}

fn around(value: f64, half: Option<f64>) -> Value {
    let ci = half.map(|half| [value - half, value + half]);
    Value {
        value,
        ci: ci.filter(|ci| ci.iter().all(|end| end.is_finite())),
    }
}

/// What stands behind the figures.
#[derive(Debug)]
enum Behind<'a> {
    /// Stretches of one run; none where no interval can be had.
    Batches(&'a [Batch]),
    /// One more replication gives its share to the sums.
    Gather(RefCell<&'a mut Vec<Moments>>),
    /// Sums over all replications.
    Moments(&'a [Moments]),
}

/// Goes through all figures, always in the same order.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    pub(super) total: &'a Batch,
    behind: Behind<'a>,
    at: Cell<usize>,
}

impl<'a> Walk<'a> {
    /// Over one run.
    pub(super) const fn batches(total: &'a Batch, batches: &'a [Batch]) -> Self {
        Self {
            total,
            behind: Behind::Batches(batches),
            at: Cell::new(0),
        }
    }

    /// Over one replication, for its share in the sums.
    pub(super) const fn gather(total: &'a Batch, moments: &'a mut Vec<Moments>) -> Self {
        Self {
            total,
            behind: Behind::Gather(RefCell::new(moments)),
            at: Cell::new(0),
        }
    }

    /// Over all replications; `total` is theirs together.
    pub(super) const fn moments(total: &'a Batch, moments: &'a [Moments]) -> Self {
        Self {
            total,
            behind: Behind::Moments(moments),
            at: Cell::new(0),
        }
    }

    /// Figures walked past.
    pub(super) const fn len(&self) -> usize {
        self.at.get()
    }

    fn next(&self) -> usize {
        let at = self.at.get();
        self.at.set(at + 1);
        at
    }

    /// A ratio of two sums; `None` where nothing stands below.
    pub(super) fn ratio(&self, parts: impl Fn(&Batch) -> (f64, f64)) -> Option<Value> {
        let at = self.next();
        let total = parts(self.total);
        match &self.behind {
            Behind::Batches(batches) => {
                let groups: Vec<(f64, f64)> = batches.iter().map(&parts).collect();
                ratio(total, &groups).map(Value::from)
            }
            Behind::Gather(moments) => {
                slot(&mut moments.borrow_mut(), at).add(total.0, total.1);
                None
            }
            Behind::Moments(moments) => {
                (total.1 > 0.0).then(|| moments[at].ratio(total.0 / total.1))
            }
        }
    }

    /// A quantile of everything together; never an average of quantiles.
    ///
    /// From batches its interval is that of the share below it, read back through the distribution.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an estimate needs no more than 53 bits"
    )]
    pub(super) fn quantile(
        &self,
        q: f64,
        durations: impl Fn(&Batch) -> &Durations,
    ) -> Option<Value> {
        let at = self.next();
        let all = durations(self.total);
        let point = all.quantile_s(q);
        match &self.behind {
            Behind::Batches(batches) => {
                let point = point?;
                let groups: Vec<(f64, f64)> = batches
                    .iter()
                    .map(|group| {
                        let durations = durations(group);
                        (durations.count_below(point), durations.count as f64)
                    })
                    .collect();
                let share = ratio((q * all.count as f64, all.count as f64), &groups);
                let ci = share.and_then(|share| share.ci).and_then(|[low, high]| {
                    let [low, high] = within_shares(q, (high - low) / 2.0);
                    let low = all.quantile_s(low)?.min(point);
                    // Beyond the tail that was seen there is more of it: at least as much as below.
                    let high = all.quantile_s(high)?.max(2.0 * point - low);
                    Some([low, high])
                });
                Some(Value { value: point, ci })
            }
            Behind::Gather(moments) => {
                let mut moments = moments.borrow_mut();
                let slot = slot(&mut moments, at);
                if let Some(point) = point {
                    slot.add(point, 0.0);
                }
                None
            }
            Behind::Moments(moments) => point.map(|point| moments[at].section(point)),
        }
    }
}

/// An interval of a share, equal on the scale of log odds: it stays between 0 and 1, and reaches further
/// to the side where there is more room, as the estimate does.
fn within_shares(share: f64, half: f64) -> [f64; 2] {
    let odds = libm::log(share / (1.0 - share));
    let half = half / (share * (1.0 - share));
    [odds - half, odds + half].map(|odds| 1.0 / (1.0 + libm::exp(-odds)))
}

fn slot(moments: &mut Vec<Moments>, at: usize) -> &mut Moments {
    if moments.len() <= at {
        moments.resize(at + 1, Moments::default());
    }
    &mut moments[at]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_give_the_interval_of_a_ratio_and_equal_runs_give_one_without_width() {
        let pairs = [(2.0, 1.0), (3.0, 2.0), (7.0, 3.0), (9.0, 4.0)];
        let mut moments = Moments::default();
        for (above, below) in pairs {
            moments.add(above, below);
        }
        let by_hand = ratio((21.0, 10.0), &pairs).unwrap();
        let value = moments.ratio(2.1);
        let (a, b) = (value.ci.unwrap(), by_hand.ci.unwrap());
        assert!((a[0] - b[0]).abs() < 1e-12 && (a[1] - b[1]).abs() < 1e-12);
        let mut equal = Moments::default();
        for _ in 0..5 {
            equal.add(0.3, 0.7);
        }
        let value = 0.3 / 0.7;
        assert_eq!(equal.ratio(value).ci, Some([value, value]));
        let mut one = Moments::default();
        one.add(1.0, 1.0);
        assert_eq!(one.ratio(1.0).ci, None);
    }

    #[test]
    fn an_interval_of_a_share_stays_one() {
        let [low, high] = within_shares(0.99, 0.02);
        assert!(0.9 < low && low < 0.97 && 0.99 < high && high < 1.0);
        let [low, high] = within_shares(0.5, 0.001);
        assert!((low - 0.499).abs() < 1e-6 && (high - 0.501).abs() < 1e-6);
    }

    #[test]
    fn a_section_counts_the_distance_between_the_runs_and_their_union() {
        let mut moments = Moments::default();
        for point in [1.0, 2.0, 3.0] {
            moments.add(point, 0.0);
        }
        let centred = moments.section(2.0).ci.unwrap();
        let shifted = moments.section(2.5).ci.unwrap();
        assert!(shifted[1] - shifted[0] > centred[1] - centred[0]);
    }
}
