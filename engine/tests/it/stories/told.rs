//! One run of a shipped scenario, and questions to it.
//!
//! Belongs here: running a story, counting what happened when. Does not belong here: what each must
//! come to (stories).

use flowreel_engine::kernel::{RunReport, Sink, run};
use flowreel_engine::model::event::{EventKind, Outcome, StageEvent};
use flowreel_engine::model::id::{ClassId, ComponentId, PathId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::scenario::{Scenario, load};

/// One ending: when, how, and how long it took; seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) at_s: f64,
    pub(crate) sojourn_s: f64,
    pub(crate) is_ok: bool,
    /// Known of whole requests.
    pub(crate) class: Option<ClassId>,
}

/// What happened at one station.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    pub(crate) arrivals_s: Vec<f64>,
    /// When each service or pick-up began, and after which wait.
    pub(crate) waits_s: Vec<(f64, f64)>,
    pub(crate) refused: u64,
}

/// A run as it is told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    scenario: Scenario,
    pub(crate) requests: Vec<Ending>,
    parts: Vec<Vec<Ending>>,
    places: Vec<Place>,
    pub(crate) report: Option<RunReport>,
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// The text of a scenario that ships.
pub(crate) fn text(name: &str) -> String {
    let path = format!("{}/../scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect("the scenario ships")
}

/// Runs a shipped scenario with changes, such as `station.smtp.servers=2`.
pub(crate) fn tell(name: &str, settings: &[&str]) -> Told {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    let scenario = load(&text(name), &settings).expect("valid");
    let mut told = Told {
        requests: Vec::new(),
        parts: vec![Vec::new(); scenario.paths().len()],
        places: vec![Place::default(); scenario.topology.components.len()],
        report: None,
        scenario,
    };
    let (scenario, seed) = (told.scenario.clone(), told.scenario.seed);
    told.report = Some(run(&scenario, seed, &mut told).expect("the run ends"));
    told
}

impl Sink for Told {
    fn event(&mut self, event: &StageEvent) {
        if event.kind == EventKind::Rejected {
            self.places[event.component.index()].refused += 1;
        }
    }
    fn finished(&mut self, now: TimeNs, class: ClassId, outcome: Outcome, sojourn_ns: u64) {
        self.requests.push(Ending {
            at_s: seconds(now.0),
            sojourn_s: seconds(sojourn_ns),
            is_ok: outcome == Outcome::Ok,
            class: Some(class),
        });
    }
    fn part_finished(
        &mut self,
        now: TimeNs,
        path: Option<PathId>,
        outcome: Outcome,
        sojourn_ns: u64,
    ) {
        if let Some(path) = path {
            self.parts[path.index()].push(Ending {
                at_s: seconds(now.0),
                sojourn_s: seconds(sojourn_ns),
                is_ok: outcome == Outcome::Ok,
                class: None,
            });
        }
    }
    fn arrived(&mut self, now: TimeNs, station: ComponentId) {
        self.places[station.index()].arrivals_s.push(seconds(now.0));
    }
    fn started(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        let wait = (seconds(now.0), seconds(waiting_ns));
        self.places[station.index()].waits_s.push(wait);
    }
    fn picked_up(&mut self, now: TimeNs, station: ComponentId, waiting_ns: u64) {
        self.started(now, station, waiting_ns);
    }
}

impl Told {
    pub(crate) fn at(&self, id: &str) -> &Place {
        let components = &self.scenario.topology.components;
        let index = components.iter().position(|component| component.id == id);
        &self.places[index.expect("a station of the story")]
    }

    /// Endings of a class of requests.
    pub(crate) fn class(&self, id: &str) -> Vec<Ending> {
        let index = self
            .scenario
            .classes()
            .iter()
            .position(|class| class.id == id);
        let wanted = index
            .and_then(|index| u16::try_from(index).ok())
            .map(ClassId);
        assert!(wanted.is_some(), "a class of the story");
        let requests = self.requests.iter().filter(|end| end.class == wanted);
        requests.copied().collect()
    }

    /// Endings of a path.
    pub(crate) fn path(&self, id: &str) -> &[Ending] {
        let index = self.scenario.paths().iter().position(|path| path.id == id);
        &self.parts[index.expect("a path of the story")]
    }
}

impl Place {
    /// Arrivals within these seconds.
    pub(crate) fn arrivals(&self, from_s: f64, to_s: f64) -> usize {
        let within = self
            .arrivals_s
            .iter()
            .filter(|at_s| (from_s..to_s).contains(*at_s));
        within.count()
    }

    pub(crate) fn longest_wait_s(&self) -> f64 {
        self.waits_s
            .iter()
            .map(|(_, wait_s)| *wait_s)
            .fold(0.0, f64::max)
    }
}

/// The value below which that share of all times lies, by nearest rank.
pub(crate) fn quantile(share: f64, times_s: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = times_s.collect();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.saturating_sub(1)]
}

/// Sojourns of endings within these seconds.
pub(crate) fn sojourns(
    endings: &[Ending],
    from_s: f64,
    to_s: f64,
) -> impl Iterator<Item = f64> + '_ {
    let within = endings
        .iter()
        .filter(move |end| (from_s..to_s).contains(&end.at_s));
    within.map(|end| end.sojourn_s)
}
