//! The three models of load: open, closed, partly open.
//!
//! Belongs here: what makes the next request begin. Does not belong here: the request (act.rs), the
//! moments (schedule.rs, pace.rs).

use super::act::Actors;
use super::pace::{self, Pacer};
use super::schedule::{Arrival, Draws, Schedule};
use super::settings::{LoadSettings, Model};
use crate::telemetry::Clock;
use flowreel_engine::model::time::{TimeNs, ns_from_seconds, seconds_from_ns};
use tokio::task::JoinSet;

/// Makes the whole run's requests and waits for all answers.
pub(super) async fn make(
    settings: LoadSettings,
    actors: Actors,
    begin: TimeNs,
) -> std::io::Result<()> {
    match settings.model {
        Model::Closed => {
            closed(&settings, &actors, begin).await;
            Ok(())
        }
        Model::Open | Model::Sessions => timed(&settings, &actors, begin).await,
    }
}

/// Requests or sessions that begin when their time has come.
async fn timed(settings: &LoadSettings, actors: &Actors, begin: TimeNs) -> std::io::Result<()> {
    let schedule = Schedule::new(
        settings.profile.clone(),
        settings.spacing,
        settings.mix.clone(),
        settings.duration_ns,
        settings.seed,
    );
    let mut pacer: Pacer = pace::start(schedule, begin, actors.clock)?;
    let mut running = JoinSet::new();
    while let Some(arrival) = pacer.arrivals.recv().await {
        let actors = actors.clone();
        let session = (settings.model == Model::Sessions)
            .then(|| Thinker::new(settings, begin, arrival.user));
        running.spawn(async move { begun(&actors, arrival, begin, session).await });
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
    Ok(())
}

/// One arrival: a request, or a session that goes on with chance.
async fn begun(actors: &Actors, arrival: Arrival, begin: TimeNs, session: Option<Thinker>) {
    let intended = TimeNs(begin.0.saturating_add(arrival.intended.0));
    let mut answered = actors.perform(arrival.class, arrival.user, intended).await;
    let Some(mut thinker) = session else {
        return;
    };
    while thinker.goes_on() {
        let Some(intended) = thinker.thought(answered, actors.clock).await else {
            return;
        };
        let class = thinker.class();
        answered = actors.perform(class, arrival.user, intended).await;
    }
}

/// Each user by itself: think, ask, wait for the answer.
async fn closed(settings: &LoadSettings, actors: &Actors, begin: TimeNs) {
    let mut running = JoinSet::new();
    for number in 0..u64::from(settings.user_count) {
        let actors = actors.clone();
        let mut thinker = Thinker::new(settings, begin, number);
        running.spawn(async move {
            let mut answered = begin;
            let count = actors.users.len() as u64;
            while let Some(intended) = thinker.thought(answered, actors.clock).await {
                let class = thinker.class();
                // The same user each time, another friend by chance.
                let user = number + thinker.draws.number() % (1 << 32) * count;
                answered = actors.perform(class, user, intended).await;
            }
        });
    }
    while running.join_next().await.is_some() {}
}

/// A user between two requests.
struct Thinker {
    draws: Draws,
    mix: super::mix::Mix,
    think_s: f64,
    goes_on_share: f64,
    end: TimeNs,
}

impl Thinker {
    fn new(settings: &LoadSettings, begin: TimeNs, number: u64) -> Self {
        // Numbers of arrivals are drawn, those of users counted; both give streams that differ.
        let mut seeds = Draws::new(settings.seed ^ number.rotate_left(32));
        Self {
            draws: Draws::new(seeds.number()),
            mix: settings.mix.clone(),
            think_s: seconds_from_ns(settings.think_ns),
            goes_on_share: 1.0 - 1.0 / settings.session_requests,
            end: TimeNs(begin.0.saturating_add(settings.duration_ns)),
        }
    }

    fn goes_on(&mut self) -> bool {
        self.draws.unit() < self.goes_on_share
    }

    fn class(&mut self) -> crate::telemetry::Class {
        self.mix.draw(self.draws.unit())
    }

    /// Waits out a thought that began at the answer; the next intended start, or `None` after the run's end.
    async fn thought(&mut self, answered: TimeNs, clock: Clock) -> Option<TimeNs> {
        let think_ns = ns_from_seconds(self.think_s * self.draws.exponential())?;
        let intended = TimeNs(answered.0.checked_add(think_ns)?);
        if intended >= self.end {
            return None;
        }
        clock.sleep_until(intended).await;
        Some(intended)
    }
}
