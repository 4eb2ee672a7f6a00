//! Where each stay lies on the journey's own time axis, with long pauses folded.
//!
//! Belongs here: folding and positions, as plain numbers. Does not belong here: drawing.

use crate::view::Stage;
use flowreel_engine::model::time::TimeNs;

/// Width of a folded pause, as a share of the axis.
pub(super) const FOLD_SHARE: f64 = 0.13;
/// A pause is folded when it is longer than everything else together, times this.
const FOLD_FROM: f64 = 0.5;

/// The journey's axis: stretches of work laid side by side, pauses between them folded.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Gantt {
    stretches: Vec<Stretch>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    begin: u64,
    end: u64,
    left: f64,
    right: f64,
    is_folded: bool,
}

impl Gantt {
    /// The axis of these stays, as far as they have come at `now`.
    pub(super) fn new(stages: &[Stage], now: TimeNs) -> Self {
        let end_of = |stage: &Stage| stage.ended.unwrap_or(now).0;
        let Some(begin) = stages.iter().map(|stage| stage.arrived.0).min() else {
            return Self {
                stretches: Vec::new(),
            };
        };
        let end = stages
            .iter()
            .map(end_of)
            .max()
            .unwrap_or(begin)
            .max(begin + 1);
        let mut busy: Vec<(u64, u64)> = stages
            .iter()
            .filter(|stage| !stage.is_scheduled_delay)
            .map(|stage| (stage.arrived.0, end_of(stage).max(stage.arrived.0)))
            .collect();
        busy.sort_unstable();
        let mut pauses = Vec::new();
        let mut reached = begin;
        for (from, to) in &busy {
            if *from > reached {
                pauses.push((reached, *from));
            }
            reached = reached.max(*to);
        }
        if end > reached {
            pauses.push((reached, end));
        }
        let pause_total: u64 = pauses.iter().map(|(from, to)| to - from).sum();
        let busy_total = ((end - begin) - pause_total).max(1) as f64;
        pauses.retain(|(from, to)| (to - from) as f64 > busy_total * FOLD_FROM);
        Self::laid_out(begin, end, &pauses)
    }

    fn laid_out(begin: u64, end: u64, folds: &[(u64, u64)]) -> Self {
        let folded: u64 = folds.iter().map(|(from, to)| to - from).sum();
        let fold_share = FOLD_SHARE.min(0.5 / folds.len().max(1) as f64);
        let open = ((end - begin) - folded).max(1) as f64;
        let scale = (1.0 - fold_share * folds.len() as f64) / open;
        let mut stretches = Vec::new();
        let (mut at, mut left) = (begin, 0.0);
        for (from, to) in folds.iter().copied().chain([(end, end)]) {
            let right = left + (from - at) as f64 * scale;
            if from > at {
                stretches.push(Stretch {
                    begin: at,
                    end: from,
                    left,
                    right,
                    is_folded: false,
                });
            }
            left = right;
            if to > from {
                stretches.push(Stretch {
                    begin: from,
                    end: to,
                    left,
                    right: left + fold_share,
                    is_folded: true,
                });
                left += fold_share;
            }
            at = to;
        }
        Self { stretches }
    }

    /// Share of the axis at which a moment lies, 0 to 1.
    pub(super) fn share_at(&self, at: u64) -> f64 {
        let Some(stretch) = self
            .stretches
            .iter()
            .find(|stretch| at < stretch.end)
            .or(self.stretches.last())
        else {
            return 0.0;
        };
        let inside = at.clamp(stretch.begin, stretch.end) - stretch.begin;
        let share = inside as f64 / (stretch.end - stretch.begin).max(1) as f64;
        stretch.left + share * (stretch.right - stretch.left)
    }

    /// The middle of each folded pause that a stay lasts through.
    pub(super) fn folds_in(&self, from: u64, to: u64) -> impl Iterator<Item = f64> {
        self.stretches
            .iter()
            .filter(move |fold| fold.is_folded && from < fold.end && fold.begin < to)
            .map(|fold| f64::midpoint(fold.left, fold.right))
    }

    /// True where anything is folded.
    pub(super) fn has_folds(&self) -> bool {
        self.stretches.iter().any(|stretch| stretch.is_folded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowreel_engine::model::event::Outcome;
    use flowreel_engine::model::id::{ComponentId, PartId};
    use flowreel_engine::model::topology::Channel;

    fn stay(from: u64, to: u64, is_scheduled_delay: bool) -> Stage {
        Stage {
            number: 1,
            component: ComponentId(0),
            from: ComponentId::NONE,
            part: PartId(0),
            channel: Channel::Email,
            attempt: 1,
            arrived: TimeNs(from),
            started: Some(TimeNs(from)),
            ended: Some(TimeNs(to)),
            outcome: Outcome::Ok,
            is_scheduled_delay,
            code: 0,
        }
    }

    #[test]
    fn a_journey_without_pauses_is_drawn_to_scale() {
        let gantt = Gantt::new(&[stay(0, 100, false), stay(100, 400, false)], TimeNs(400));
        assert!(!gantt.has_folds());
        assert!((gantt.share_at(100) - 0.25).abs() < 1e-9);
        assert!((gantt.share_at(400) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_long_scheduled_delay_takes_a_fixed_share() {
        let stages = [
            stay(0, 100, false),
            stay(100, 300_000, true),
            stay(300_000, 300_100, false),
        ];
        let gantt = Gantt::new(&stages, TimeNs(300_100));
        assert_eq!(gantt.folds_in(100, 300_000).count(), 1);
        assert_eq!(gantt.folds_in(0, 100).count(), 0);
        let width = gantt.share_at(300_000) - gantt.share_at(100);
        assert!((width - FOLD_SHARE).abs() < 1e-9);
        let work = gantt.share_at(100);
        assert!((work - (1.0 - FOLD_SHARE) / 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_stay_that_another_part_works_through_is_not_folded() {
        let stages = [stay(0, 1000, false), stay(10, 900, true)];
        assert!(!Gantt::new(&stages, TimeNs(1000)).has_folds());
    }

    #[test]
    fn an_empty_journey_has_no_axis() {
        assert!(Gantt::new(&[], TimeNs(5)).share_at(5).abs() < 1e-9);
    }
}
