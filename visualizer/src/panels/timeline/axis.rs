//! Time to pixels and back, and which ticks fit.
//!
//! Belongs here: arithmetic of the axis. Does not belong here: drawing.

use egui::Rangef;
use flowreel_engine::model::time::{NS_PER_S, TimeNs};

/// A stretch of the run laid over a stretch of the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    screen: Rangef,
    begin_ns: u64,
    end_ns: u64,
    length_ns: u64,
}

/// The shortest stretch that can be zoomed to.
const WINDOW_MIN_NS: u64 = NS_PER_S / 20;

/// Distances of ticks, in milliseconds.
const STEPS_MS: [u64; 20] = [
    10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000,
    300_000, 600_000, 1_800_000, 3_600_000, 14_400_000, 86_400_000,
];

impl Axis {
    /// The whole run, or the stored window where it still lies inside the run.
    pub(super) fn new(screen: Rangef, window: Option<(u64, u64)>, length: TimeNs) -> Self {
        let length_ns = length.0.max(WINDOW_MIN_NS);
        let (begin_ns, end_ns) = window
            .filter(|(begin, end)| begin < end && *end <= length_ns)
            .unwrap_or((0, length_ns));
        Self {
            screen,
            begin_ns,
            end_ns,
            length_ns,
        }
    }

    /// First and last moment on screen.
    pub(super) fn window(&self) -> (u64, u64) {
        (self.begin_ns, self.end_ns)
    }

    fn span(&self) -> f64 {
        (self.end_ns - self.begin_ns) as f64
    }

    /// Where a moment is, also beyond the window.
    pub(super) fn x_at(&self, at: TimeNs) -> f32 {
        let share = (at.0 as f64 - self.begin_ns as f64) / self.span();
        self.screen.min + (share * f64::from(self.screen.span())) as f32
    }

    /// The moment at a place, kept inside the window.
    pub(super) fn time_at(&self, x: f32) -> TimeNs {
        let share = f64::from((x - self.screen.min) / self.screen.span()).clamp(0.0, 1.0);
        TimeNs(self.begin_ns + (share * self.span()) as u64)
    }

    /// The window shrunk by `factor` round a place.
    pub(super) fn zoomed(self, x: f32, factor: f32) -> Self {
        let at = self.time_at(x).0 as f64;
        let span =
            (self.span() / f64::from(factor)).clamp(WINDOW_MIN_NS as f64, self.length_ns as f64);
        let share = (at - self.begin_ns as f64) / self.span();
        self.moved_to(at - share * span, span)
    }

    /// The window moved by so many points.
    pub(super) fn panned(self, points: f32) -> Self {
        let by = f64::from(points / self.screen.span()) * self.span();
        self.moved_to(self.begin_ns as f64 + by, self.span())
    }

    fn moved_to(mut self, begin: f64, span: f64) -> Self {
        let begin = begin.clamp(0.0, self.length_ns as f64 - span);
        self.begin_ns = begin as u64;
        self.end_ns = ((begin + span) as u64).min(self.length_ns);
        self
    }

    /// Distance of ticks, so that their names stand at least `room` points apart.
    pub(super) fn tick_step_ns(&self, room: f32) -> u64 {
        let wanted = self.span() * f64::from(room / self.screen.span());
        STEPS_MS
            .iter()
            .map(|ms| ms * 1_000_000)
            .find(|step| *step as f64 >= wanted)
            .unwrap_or(86_400 * NS_PER_S)
    }

    /// Ticks on screen.
    pub(super) fn ticks(&self, step_ns: u64) -> impl Iterator<Item = TimeNs> {
        let first = self.begin_ns.div_ceil(step_ns) * step_ns;
        let end = self.end_ns;
        (first..=end)
            .step_by(usize::try_from(step_ns).unwrap_or(usize::MAX))
            .map(TimeNs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis() -> Axis {
        Axis::new(Rangef::new(100.0, 1100.0), None, TimeNs(600 * NS_PER_S))
    }

    #[test]
    fn a_place_and_its_time_agree() {
        let at = TimeNs(150 * NS_PER_S);
        assert!((axis().x_at(at) - 350.0).abs() < 0.01);
        assert_eq!(axis().time_at(350.0), at);
        assert_eq!(axis().time_at(-5.0), TimeNs::ZERO);
        assert_eq!(axis().time_at(5000.0), TimeNs(600 * NS_PER_S));
    }

    #[test]
    fn zooming_keeps_the_moment_under_the_pointer() {
        let zoomed = axis().zoomed(350.0, 4.0);
        assert!((zoomed.x_at(TimeNs(150 * NS_PER_S)) - 350.0).abs() < 0.5);
        let (begin, end) = zoomed.window();
        assert_eq!((end - begin) / NS_PER_S, 150);
        let whole = zoomed.zoomed(350.0, 0.01);
        assert_eq!(whole.window(), (0, 600 * NS_PER_S));
    }

    #[test]
    fn panning_stops_at_the_ends() {
        let zoomed = axis().zoomed(600.0, 10.0);
        assert_eq!(zoomed.panned(-1e6).window().0, 0);
        assert_eq!(zoomed.panned(1e6).window().1, 600 * NS_PER_S);
    }

    #[test]
    fn ticks_keep_their_distance() {
        let step = axis().tick_step_ns(90.0);
        assert_eq!(step, 60 * NS_PER_S);
        assert_eq!(axis().ticks(step).count(), 11);
    }
}
