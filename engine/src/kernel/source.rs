//! Sources at work: when the next batch comes, of which size, class and user.
//!
//! Belongs here: drawing arrivals. Does not belong here: what happens to them.

use super::arrivals::Process;
use super::rng::Stream;
use super::sampler::pick;
use crate::scenario::rule::cumulative;
use crate::scenario::valid::{Arrivals, Batch, RuleId, Scenario, Source};

/// One source at work.
#[derive(Clone, Debug)]
pub(super) struct SourceState {
    pub(super) component: u16,
    pub(super) to: RuleId,
    process: Process,
    /// Users who think between requests; 0 for an open source.
    pub(super) thinkers: u32,
    gap_stream: Stream,
    batch: Batch,
    batch_stream: Stream,
    mix: Vec<f64>,
    class_stream: Stream,
    users: u32,
    user_stream: Stream,
}

impl SourceState {
    pub(super) fn new(scenario: &Scenario, source: &Source, seed: u64) -> Self {
        let name = &scenario.component(source.component).id;
        let stream = |purpose| Stream::new(seed, name, purpose);
        let mut gap_stream = stream("arrivals");
        Self {
            component: source.component.0,
            to: source.to,
            process: Process::new(&source.arrivals, &mut gap_stream),
            thinkers: match source.arrivals {
                Arrivals::Closed { users, .. } => users,
                _ => 0,
            },
            gap_stream,
            batch: source.batch.clone(),
            batch_stream: stream("batch"),
            mix: cumulative(source.mix.iter().copied()),
            class_stream: stream("class"),
            users: source.users,
            user_stream: stream("user"),
        }
    }

    /// Time to the next batch, or to the end of a user's thinking; `None` where no more will come.
    #[inline]
    pub(super) fn gap_ns(&mut self, now_ns: u64) -> Option<u64> {
        self.process.gap_ns(now_ns, &mut self.gap_stream)
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of at most 1e6 keeps sizes far below the range, and past it they saturate"
    )]
    pub(super) fn batch_size(&mut self) -> u32 {
        match &self.batch {
            Batch::Constant(size) => *size,
            Batch::Geometric { mean } if *mean <= 1.0 => 1,
            Batch::Geometric { mean } => {
                // Inversion: the smallest k with 1 - (1 - 1/mean)^k above a uniform number.
                let u = 1.0 - self.batch_stream.uniform();
                1 + (libm::log(u) / libm::log1p(-1.0 / mean)) as u32
            }
            Batch::Uniform { low, high } => low + self.batch_stream.below(high - low + 1),
            Batch::Discrete { values, cumulative } => {
                values[pick(cumulative, &mut self.batch_stream)]
            }
        }
    }

    #[inline]
    pub(super) fn class(&mut self) -> u16 {
        if self.mix.len() == 1 {
            return 0;
        }
        u16::try_from(pick(&self.mix, &mut self.class_stream)).unwrap_or(0)
    }

    /// From 1 upwards; 0 where users are not told apart.
    #[inline]
    pub(super) fn user(&mut self) -> u32 {
        if self.users == 0 {
            0
        } else {
            1 + self.user_stream.below(self.users)
        }
    }
}
