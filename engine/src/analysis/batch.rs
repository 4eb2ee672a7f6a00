//! Batches: everything measured in one stretch of a run.
//!
//! Belongs here: accumulators and joining them. Does not belong here: when a batch ends (statistics).

use super::histogram::Durations;

/// One station during one batch.
#[derive(Clone, Debug)]
pub(super) struct StationBatch {
    pub(super) arrivals: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
    pub(super) rejected: u64,
    pub(super) abandoned: u64,
    pub(super) cancelled: u64,
    /// Of the failed ones, those over their time limit.
    pub(super) timed_out: u64,
    /// Servers that had to keep what they had finished, times nanoseconds.
    pub(super) held_area: u128,
    /// Parts waiting, and in service, times nanoseconds.
    pub(super) waiting_area: u128,
    pub(super) service_area: u128,
    /// Servers times nanoseconds, where an autoscaler changes their number.
    pub(super) servers_area: u128,
    pub(super) waiting: Durations,
    pub(super) service: Durations,
    pub(super) sojourn: Durations,
}

/// Completions and their sojourn times: of the system, a class or a path.
#[derive(Clone, Debug)]
pub(super) struct FlowBatch {
    pub(super) completed: u64,
    /// Of the completed ones, those past their deadline.
    pub(super) late: u64,
    pub(super) sojourn: Durations,
}

/// One stretch of a run.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) start_ns: u64,
    pub(super) end_ns: u64,
    /// Requests in the system times nanoseconds.
    pub(super) system_area: u128,
    pub(super) system: FlowBatch,
    pub(super) classes: Vec<FlowBatch>,
    pub(super) paths: Vec<FlowBatch>,
    /// By component; sources have one too, and nothing in it.
    pub(super) stations: Vec<StationBatch>,
    /// Levels times nanoseconds, and counts, by number of the gauge; empty until one is reported.
    pub(super) gauges: Vec<u128>,
}

/// Units times nanoseconds, in units times seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "an estimate needs no more than 53 bits"
)]
pub(super) fn area_s(area: u128) -> f64 {
    area as f64 / 1e9
}

impl FlowBatch {
    const fn new(bits: u32) -> Self {
        Self {
            completed: 0,
            late: 0,
            sojourn: Durations::new(bits),
        }
    }

    #[inline]
    pub(super) fn completed(&mut self, sojourn_ns: u64) {
        self.completed += 1;
        self.sojourn.record(sojourn_ns);
    }

    fn clear(&mut self) {
        (self.completed, self.late) = (0, 0);
        self.sojourn.clear();
    }

    fn absorb(&mut self, other: &Self) {
        self.completed += other.completed;
        self.late += other.late;
        self.sojourn.absorb(&other.sojourn);
    }
}

impl StationBatch {
    const fn new(bits: u32) -> Self {
        Self {
            arrivals: 0,
            completed: 0,
            failed: 0,
            rejected: 0,
            abandoned: 0,
            cancelled: 0,
            timed_out: 0,
            held_area: 0,
            waiting_area: 0,
            service_area: 0,
            servers_area: 0,
            waiting: Durations::new(bits),
            service: Durations::new(bits),
            sojourn: Durations::new(bits),
        }
    }

    /// Those who waited no time at all, in whole nanoseconds.
    pub(super) fn started_at_once(&self) -> u64 {
        self.waiting.zeros()
    }

    fn clear(&mut self) {
        (self.arrivals, self.completed, self.failed) = (0, 0, 0);
        (self.rejected, self.abandoned, self.timed_out) = (0, 0, 0);
        (self.waiting_area, self.service_area) = (0, 0);
        (self.servers_area, self.held_area) = (0, 0);
        for durations in [&mut self.waiting, &mut self.service, &mut self.sojourn] {
            durations.clear();
        }
    }

    fn absorb(&mut self, other: &Self) {
        self.arrivals += other.arrivals;
        self.completed += other.completed;
        self.failed += other.failed;
        self.rejected += other.rejected;
        self.abandoned += other.abandoned;
        self.cancelled += other.cancelled;
        self.timed_out += other.timed_out;
        self.held_area += other.held_area;
        self.waiting_area += other.waiting_area;
        self.service_area += other.service_area;
        self.servers_area += other.servers_area;
        self.waiting.absorb(&other.waiting);
        self.service.absorb(&other.service);
        self.sojourn.absorb(&other.sojourn);
    }
}

impl Batch {
    pub(super) fn new(bits: u32, classes: usize, paths: usize, components: usize) -> Self {
        Self {
            start_ns: 0,
            end_ns: 0,
            system_area: 0,
            system: FlowBatch::new(bits),
            classes: vec![FlowBatch::new(bits); classes],
            paths: vec![FlowBatch::new(bits); paths],
            stations: vec![StationBatch::new(bits); components],
            gauges: Vec::new(),
        }
    }

    /// What was measured so far, ending now; counting goes on from nothing in the memory it has.
    pub(super) fn cut(&mut self, end_ns: u64) -> Self {
        self.end_ns = end_ns;
        let done = self.clone();
        self.start_ns = end_ns;
        self.system_area = 0;
        self.system.clear();
        for flow in self.classes.iter_mut().chain(&mut self.paths) {
            flow.clear();
        }
        for station in &mut self.stations {
            station.clear();
        }
        self.gauges.fill(0);
        done
    }

    /// Takes over the batch that follows this one.
    pub(super) fn absorb(&mut self, next: &Self) {
        self.end_ns = self.end_ns.max(next.end_ns);
        self.system_area += next.system_area;
        self.system.absorb(&next.system);
        let flows = self.classes.iter_mut().zip(&next.classes);
        for (mine, theirs) in flows.chain(self.paths.iter_mut().zip(&next.paths)) {
            mine.absorb(theirs);
        }
        for (mine, theirs) in self.stations.iter_mut().zip(&next.stations) {
            mine.absorb(theirs);
        }
        for (index, area) in next.gauges.iter().enumerate() {
            *self.gauge(index) += area;
        }
    }

    /// Area or count of a gauge.
    #[inline]
    pub(super) fn gauge(&mut self, index: usize) -> &mut u128 {
        if self.gauges.len() <= index {
            self.gauges.resize(index + 1, 0);
        }
        &mut self.gauges[index]
    }

    /// Takes over the figures of another run: lengths add up.
    pub(super) fn pool(&mut self, other: &Self) {
        let length_ns = (self.end_ns - self.start_ns) + (other.end_ns - other.start_ns);
        self.absorb(other);
        self.start_ns = 0;
        self.end_ns = length_ns;
    }

    /// Length in seconds.
    #[expect(
        clippy::cast_precision_loss,
        reason = "an estimate needs no more than 53 bits"
    )]
    pub(super) fn length_s(&self) -> f64 {
        (self.end_ns - self.start_ns) as f64 / 1e9
    }
}
