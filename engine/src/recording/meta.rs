//! What a reel says about its run, beside the events.
//!
//! Belongs here: values in the run, gap, summary and end blocks. Does not belong here: their bytes on disk (block).

use crate::model::event::EventKind;
use crate::model::hash::RunHash;
use crate::model::id::ComponentId;
use crate::model::state::SystemState;
use crate::model::time::TimeNs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Names one run in the world; segments of one run share it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub [u8; 16]);

impl RunId {
    /// The id of a run that is fully determined by these texts (scenario, seed, settings).
    #[must_use]
    pub fn derived_from(texts: &[&str]) -> Self {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for text in texts {
            hasher.update(text.as_bytes());
            hasher.update(&[0]);
        }
        Self(hasher.digest128().to_le_bytes())
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text that names no run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run id is 32 hexadecimal digits")]
pub struct ParseRunIdError;

/// From 32 hexadecimal digits.
impl std::str::FromStr for RunId {
    type Err = ParseRunIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = (text.len() == 32 && text.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten();
        number
            .map(|number| Self(number.to_be_bytes()))
            .ok_or(ParseRunIdError)
    }
}

/// Who produced the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunSource {
    /// The live backend.
    Live,
    /// The kernel; the reel embeds its scenario.
    Simulation,
    /// Traces of another tool.
    Import,
}

impl RunSource {
    /// The word in `info --json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Simulation => "simulation",
            Self::Import => "import",
        }
    }
}

/// What a simulated run can be repeated from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddedScenario {
    /// The scenario file as it was read.
    pub text: String,
    /// The seed used.
    pub seed: u64,
    /// Settings over the file, in order, each `PATH=VALUE` as in `--set` (also `duration=…`, `requests=…`).
    pub settings: Vec<String>,
}

/// Where a run came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReelMeta {
    /// Which run.
    pub run_id: RunId,
    /// Who produced it.
    pub source: RunSource,
    /// Wall clock at time 0 in ns since 1970; `None` where there was none (simulation).
    pub started_at_unix_ns: Option<i64>,
    /// Program and version that wrote the reel.
    pub program: String,
    /// What a simulated run can be repeated from.
    pub scenario: Option<EmbeddedScenario>,
    /// Anything else worth knowing (retry scale, host role); never personal data.
    pub notes: BTreeMap<String, String>,
    /// Which stretch of the run this reel holds, where it goes on with an earlier reel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Segment>,
}

/// A reel that goes on with the run of an earlier one: what cannot be seen from its own events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Its number, from 2; the reel a run begins with says nothing.
    pub number: u32,
    /// Id of the first detail record that is in it or a later one.
    pub first_detail: u32,
    /// No request before it had a higher number than this.
    pub requests: u64,
}

impl ReelMeta {
    /// A run of this id and source with nothing else known.
    #[must_use]
    pub fn new(run_id: RunId, source: RunSource) -> Self {
        Self {
            run_id,
            source,
            started_at_unix_ns: None,
            program: format!("flowreel {}", env!("CARGO_PKG_VERSION")),
            scenario: None,
            notes: BTreeMap::new(),
            segment: None,
        }
    }

    /// Number of this segment of its run, from 1.
    #[must_use]
    pub fn segment_number(&self) -> u32 {
        self.segment.map_or(1, |segment| segment.number)
    }
}

/// Free-form facts beside an event, at most 1 MiB; personal data are masked before they get here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Detail(pub BTreeMap<String, String>);

impl Detail {
    /// A record of these facts.
    #[must_use]
    pub fn new<'a>(facts: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Self(facts.into_iter().map(own).collect())
    }

    /// The fact of this name.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }
}

/// Why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapReason {
    /// A block's bytes changed after they were written.
    Damaged,
    /// The reel ends in the middle of a block.
    TornTail,
    /// Blocks that should be between two others are not there.
    Missing,
    /// The producer had to drop events.
    Dropped,
    /// They are in another reel of the same run: this one was cut out of it.
    Elsewhere,
}

impl GapReason {
    /// The word in answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::TornTail => "torn-tail",
            Self::Missing => "missing",
            Self::Dropped => "dropped",
            Self::Elsewhere => "elsewhere",
        }
    }
}

/// A hole in the events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Time of the last event before it.
    pub from_t_ns: TimeNs,
    /// Time of the first event after it; the same as `from_t_ns` where nothing follows.
    pub to_t_ns: TimeNs,
    /// `seq` of the first event missing, where known.
    pub first_seq: Option<u64>,
    /// Number of events missing, where known.
    pub events: Option<u64>,
    /// Why.
    pub reason: GapReason,
    /// Byte offset of the hole in the reel it was found in.
    pub offset: Option<u64>,
}

/// What a writer can only know at the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FinishInfo {
    /// Events dropped by the producer under pressure.
    pub dropped: u64,
    /// The `simulate --json` answer of the run that was recorded.
    pub statistics_json: Option<String>,
}

/// Totals of a whole run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of events.
    pub events: u64,
    /// `seq` of the event that would come next: the number of events and of those missing.
    pub next_seq: u64,
    /// Time of the first event.
    pub first_t_ns: Option<TimeNs>,
    /// Time of the last event.
    pub last_t_ns: Option<TimeNs>,
    /// Requests begun.
    pub requests: u64,
    /// Hash over every event.
    pub final_hash: RunHash,
    /// Events of each kind that occurs, by the kind's code.
    pub kinds: BTreeMap<u8, u64>,
    /// Parts moved from one component to another, by their ids.
    pub edges: Vec<(u16, u16, u64)>,
    /// Detail records.
    pub details: u32,
    /// Keyframes.
    pub keyframes: u64,
    /// Events dropped by the producer under pressure; `None` where no end tells.
    pub dropped: Option<u64>,
}

impl Summary {
    /// The totals that a state holds; blocks are counted by whoever writes or reads them.
    #[must_use]
    pub fn of_state(state: &SystemState) -> Self {
        let counted = |&kind: &EventKind| (kind.code(), state.kind_count(kind));
        Self {
            events: state.event_count(),
            next_seq: state.event_count(),
            requests: state.requests().started,
            final_hash: state.run_hash(),
            last_t_ns: (state.event_count() > 0).then(|| state.now()),
            kinds: EventKind::ALL
                .iter()
                .map(counted)
                .filter(|&(_, n)| n > 0)
                .collect(),
            edges: state
                .edge_counts()
                .into_iter()
                .map(|(from, to, n)| (from.0, to.0, n))
                .collect(),
            ..Self::default()
        }
    }

    /// What came in between an earlier moment of a run and this one.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut edges: BTreeMap<(u16, u16), u64> = self
            .edges
            .iter()
            .map(|&(from, to, n)| ((from, to), n))
            .collect();
        for &(from, to, n) in &earlier.edges {
            if let Some(count) = edges.get_mut(&(from, to)) {
                *count = count.saturating_sub(n);
            }
        }
        let mut kinds = self.kinds.clone();
        for (code, n) in &earlier.kinds {
            if let Some(count) = kinds.get_mut(code) {
                *count = count.saturating_sub(*n);
            }
        }
        kinds.retain(|_, n| *n > 0);
        Self {
            events: self.events.saturating_sub(earlier.events),
            requests: self.requests.saturating_sub(earlier.requests),
            kinds,
            edges: edges
                .into_iter()
                .filter(|&(_, n)| n > 0)
                .map(|((from, to), n)| (from, to, n))
                .collect(),
            ..self.clone()
        }
    }

    /// This and what came later, counts added up.
    #[must_use]
    pub fn and(&self, later: &Self) -> Self {
        let mut edges: BTreeMap<(u16, u16), u64> = BTreeMap::new();
        for &(from, to, n) in self.edges.iter().chain(&later.edges) {
            *edges.entry((from, to)).or_default() += n;
        }
        let mut kinds = self.kinds.clone();
        for (code, n) in &later.kinds {
            *kinds.entry(*code).or_default() += n;
        }
        Self {
            events: self.events + later.events,
            requests: self.requests + later.requests,
            kinds,
            edges: edges
                .into_iter()
                .map(|((from, to), n)| (from, to, n))
                .collect(),
            ..later.clone()
        }
    }

    /// Kinds that occur with their counts, in the order of the codes.
    pub fn kind_counts(&self) -> impl Iterator<Item = (EventKind, u64)> {
        self.kinds
            .iter()
            .filter_map(|(&code, &n)| Some((EventKind::from_code(code)?, n)))
    }

    /// Edges that were used with their counts.
    pub fn edge_counts(&self) -> impl Iterator<Item = (ComponentId, ComponentId, u64)> {
        self.edges
            .iter()
            .map(|&(from, to, n)| (ComponentId(from), ComponentId(to), n))
    }
}
