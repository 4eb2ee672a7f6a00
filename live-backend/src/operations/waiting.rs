//! Why a job is still waiting.
//!
//! Belongs here: the reason in a word and a sentence. Does not belong here: the facts it follows from
//! (queue, worker, faults).

use crate::app::App;
use crate::faults::HeldFault;
use crate::models::{Channel, WallMs};
use crate::queue::{QueueError, Standing, first_queue};
use crate::telemetry::Place;
use crate::worker::crew::Hindrance;
use serde::Serialize;

/// What holds a job up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WhyWaiting {
    /// `rate-limit`, `concurrency`, `delay-until`, `paused`, `no-worker`, `behind-others`, `fault-injected`.
    pub(crate) reason: &'static str,
    /// The same for people.
    pub(crate) sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<WallMs>,
    /// From 1, those ahead counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

impl WhyWaiting {
    fn new(reason: &'static str, sentence: String) -> Self {
        Self {
            reason,
            sentence,
            until: None,
            position: None,
            fault: None,
        }
    }
}

/// `None` where it runs, or could at once.
pub(crate) async fn why(
    app: &App,
    channel: Channel,
    queue: Place,
    standing: Standing,
) -> Result<Option<WhyWaiting>, QueueError> {
    let counts = app.queues.counts().await?;
    let name = queue.name();
    let is_paused = counts
        .iter()
        .any(|queue| queue.name == name && queue.counts.is_paused);
    let paused = || WhyWaiting::new("paused", format!("an operator paused the queue {name}"));
    let ahead = match standing {
        Standing::Active => return Ok(None),
        Standing::Delayed { .. } if is_paused => return Ok(Some(paused())),
        Standing::Delayed { due_at } => {
            let sentence = format!("it rests in {name} until {due_at}");
            return Ok(Some(WhyWaiting {
                until: Some(due_at),
                ..WhyWaiting::new("delay-until", sentence)
            }));
        }
        Standing::Waiting { ahead } => ahead,
    };
    if is_paused {
        return Ok(Some(paused()));
    }
    let worker = match channel {
        Channel::Email => Place::MailWorker,
        Channel::InApp => Place::InAppWorker,
    };
    let broken = [first_queue(channel), worker].into_iter();
    if let Some(fault) = broken
        .filter_map(|place| app.faults.stopped_by(place))
        .next()
    {
        return Ok(Some(by_fault(fault)));
    }
    if ahead > 0 {
        let position = ahead + 1;
        let sentence = format!("{ahead} jobs leave {name} before it");
        return Ok(Some(WhyWaiting {
            position: Some(position),
            ..WhyWaiting::new("behind-others", sentence)
        }));
    }
    let now = tokio::time::Instant::now();
    let crew = app.crews.of(channel);
    let rate = crew.limits().rate_per_s;
    Ok(crew.hindrance(now).map(|hindrance| match hindrance {
        Hindrance::Nobody => WhyWaiting::new(
            "no-worker",
            format!("no worker takes jobs from {name} here; set workers.{name}.count"),
        ),
        Hindrance::Concurrency(running) => WhyWaiting::new(
            "concurrency",
            format!("{running} runs go on already, which is all that the workers may do at once"),
        ),
        Hindrance::Rate(start) => {
            let rest = start.saturating_duration_since(now).as_millis();
            let rest_ms = u64::try_from(rest).unwrap_or(u64::MAX);
            let until = WallMs(app.now().0.saturating_add(rest_ms));
            let sentence = format!("each worker starts {rate} jobs a second, the next at {until}");
            WhyWaiting {
                until: Some(until),
                ..WhyWaiting::new("rate-limit", sentence)
            }
        }
    }))
}

fn by_fault(fault: HeldFault) -> WhyWaiting {
    let (place, kind) = (fault.place.name(), fault.kind.name());
    let sentence = format!(
        "the injected fault {} ({kind} at {place}) holds it",
        fault.id
    );
    WhyWaiting {
        until: fault.ends_at,
        fault: Some(fault.id),
        ..WhyWaiting::new("fault-injected", sentence)
    }
}
