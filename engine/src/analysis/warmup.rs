//! Warm-up: how much of a run's beginning still shows how it began.
//!
//! Belongs here: the MSER-5 rule and the series it reads. Does not belong here: cutting (statistics).

/// Bins kept at most; then neighbours are joined and bins get twice as wide.
const BINS_MAX: usize = 2000;
/// Bins joined to one observation of the rule.
const BINS_PER_POINT: usize = 5;

/// Time average of a level in equal bins of time, whatever the run's length.
#[derive(Clone, Debug)]
pub(super) struct Series {
    width_ns: u64,
    bin_end_ns: u64,
    /// Level times nanoseconds, from the run's start to the last bin's end.
    area_before: u128,
    bins: Vec<f64>,
}

impl Series {
    /// The first guess of a bin's width; it doubles as the run goes on.
    pub(super) fn new(width_ns: u64) -> Self {
        let width_ns = width_ns.max(1);
        Self {
            width_ns,
            bin_end_ns: width_ns,
            area_before: 0,
            bins: Vec::with_capacity(BINS_MAX),
        }
    }

    /// Where the bin under way ends.
    #[inline]
    pub(super) const fn bin_end_ns(&self) -> u64 {
        self.bin_end_ns
    }

    /// Closes the bin under way; `area` is the level's integral from the run's start to its end.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an average needs no more than 53 bits"
    )]
    pub(super) fn close_bin(&mut self, area: u128) {
        self.bins
            .push((area - self.area_before) as f64 / self.width_ns as f64);
        self.area_before = area;
        if self.bins.len() == BINS_MAX {
            for index in 0..BINS_MAX / 2 {
                self.bins[index] = f64::midpoint(self.bins[2 * index], self.bins[2 * index + 1]);
            }
            self.bins.truncate(BINS_MAX / 2);
            self.width_ns = self.width_ns.saturating_mul(2);
        }
        self.bin_end_ns = self.bin_end_ns.saturating_add(self.width_ns);
    }

    /// Where the rule cuts; see [`common_cut`].
    pub(super) fn cut(&self) -> Cut {
        cut(&self.bins, self.width_ns)
    }
}

/// Where the rule cuts several runs of one scenario: it reads the average of their series. A cut of
/// each run's own would take away what is busy by chance, and more runs would not make up for it.
#[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
pub(super) fn common_cut(series: &[&Series]) -> Cut {
    let width_ns = series.iter().map(|one| one.width_ns).max().unwrap_or(1);
    let widened: Vec<Vec<f64>> = series
        .iter()
        .map(|one| {
            // Widths are equal but for doublings.
            let joined = usize::try_from(width_ns / one.width_ns).unwrap_or(1).max(1);
            let bins = one.bins.chunks_exact(joined);
            bins.map(|bins| bins.iter().sum::<f64>() / joined as f64)
                .collect()
        })
        .collect();
    let length = widened.iter().map(Vec::len).min().unwrap_or(0);
    let mean: Vec<f64> = (0..length)
        .map(|bin| widened.iter().map(|one| one[bin]).sum::<f64>() / widened.len() as f64)
        .collect();
    cut(&mean, width_ns)
}

/// Where the rule cuts, and whether it found a steady rest: the least standard error is then not at the
/// end of the half that may be cut.
fn cut(bins: &[f64], width_ns: u64) -> Cut {
    let points: Vec<f64> = bins
        .chunks_exact(BINS_PER_POINT)
        .map(|chunk| chunk.iter().sum::<f64>() / 5.0)
        .collect();
    let cut = mser(&points);
    Cut {
        at_ns: width_ns.saturating_mul(5).saturating_mul(cut as u64),
        is_steady: points.len() < 10 || cut * 2 + 2 < points.len(),
    }
}

/// What the rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) at_ns: u64,
    pub(super) is_steady: bool,
}

/// A beginning busier than the rest is cut only where that makes the squared standard error so many
/// times smaller.
const RUSH_MIN: f64 = 4.0;

/// White 1997: the number of leading points whose removal makes the standard error of the rest least,
/// at most half of them. Runs start empty, so a beginning that is busier than the rest is mostly
/// chance, and cutting it would make every system look better than it is.
fn mser(points: &[f64]) -> usize {
    // Sums around a typical value lose fewer digits.
    let shift = points.last().copied().unwrap_or(0.0);
    let total: f64 = points.iter().map(|point| point - shift).sum();
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    let (mut best, mut best_of_lulls) = ((f64::INFINITY, 0), (f64::INFINITY, 0));
    for (index, point) in points.iter().enumerate().rev() {
        let x = point - shift;
        count += 1.0;
        sum += x;
        squares += x * x;
        if index * 2 > points.len() || count < 2.0 {
            continue;
        }
        let error = (squares - sum * sum / count).max(0.0) / (count * count);
        if error <= best.0 {
            best = (error, index);
        }
        // Mean of what is cut against mean of the rest, multiplied out.
        let (cut_count, cut_sum) = (points_before(index), total - sum);
        if error <= best_of_lulls.0 && (index == 0 || cut_sum * count <= sum * cut_count) {
            best_of_lulls = (error, index);
        }
    }
    if best.0 * RUSH_MIN < best_of_lulls.0 {
        best.1
    } else {
        best_of_lulls.1
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most a few hundred points")]
const fn points_before(index: usize) -> f64 {
    index as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_at_the_start_is_cut_and_a_flat_series_is_not() {
        let ramp: Vec<f64> = (0..200)
            .map(|step| {
                if step < 20 {
                    f64::from(step)
                } else {
                    20.0 + f64::from(step % 3)
                }
            })
            .collect();
        assert!((18..=24).contains(&mser(&ramp)), "{}", mser(&ramp));
        assert_eq!(mser(&[1.0; 50]), 0);
        assert_eq!(mser(&[]), 0);
    }

    #[test]
    fn a_rush_at_the_start_is_cut_only_where_it_is_no_chance() {
        let noise = |step: u32| f64::from(step * 7 % 5);
        let busy = |level: f64| -> Vec<f64> {
            (0..200)
                .map(|step| noise(step) + if step < 20 { level } else { 0.0 })
                .collect()
        };
        assert_eq!(mser(&busy(2.0)), 0);
        assert!((18..=24).contains(&mser(&busy(50.0))));
    }

    #[test]
    fn several_runs_are_cut_where_their_average_says() {
        let mut series = Vec::new();
        for run in 0..4_u64 {
            // A ramp over 300 bins; one run has wider bins.
            let width = if run == 3 { 20 } else { 10 };
            let mut one = Series::new(width);
            let mut area = 0;
            for step in 0..1500_u64 {
                area += u128::from(width * ((step / 3).min(100) + (step + run) % 3));
                one.close_bin(area);
            }
            series.push(one);
        }
        let cut = common_cut(&series.iter().take(3).collect::<Vec<_>>());
        assert!((2500..=3500).contains(&cut.at_ns), "{cut:?}");
        assert!(cut.is_steady);
        assert!(common_cut(&series.iter().collect::<Vec<_>>()).at_ns > 2500);
    }

    #[test]
    fn a_series_keeps_its_average_through_every_doubling() {
        let mut series = Series::new(1);
        let (mut now, mut area) = (0, 0);
        for step in 0..30_000_u64 {
            let (level, end) = (step % 2 * 6, now + 1 + step % 7);
            while series.bin_end_ns() <= end {
                area += u128::from(level * (series.bin_end_ns() - now));
                now = series.bin_end_ns();
                series.close_bin(area);
            }
            area += u128::from(level * (end - now));
            now = end;
        }
        let mean =
            series.bins.iter().sum::<f64>() / f64::from(u32::try_from(series.bins.len()).unwrap());
        assert!((mean - 3.0).abs() < 0.05, "{mean}");
        assert!(series.bins.len() >= BINS_MAX / 2);
    }

    #[test]
    fn a_level_that_never_settles_is_no_steady_state() {
        let mut series = Series::new(10);
        let mut area = 0;
        for step in 0..2000 {
            area += step * 10;
            series.close_bin(area);
        }
        assert!(!series.cut().is_steady);
    }
}
