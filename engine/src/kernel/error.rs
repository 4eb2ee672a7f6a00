//! Why a run stopped before its end.
//!
//! Belongs here: what can go wrong in a run, in words. Does not belong here: what is wrong with a scenario
//! (`scenario::problem`).

/// Why a run stopped before its end. One pointer wide, so that every step hands back its result in a
/// register.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct KernelError(Box<Trouble>);

impl KernelError {
    /// What went wrong.
    #[must_use]
    pub const fn trouble(&self) -> &Trouble {
        &self.0
    }
}

impl From<Trouble> for KernelError {
    #[cold]
    fn from(trouble: Trouble) -> Self {
        Self(Box::new(trouble))
    }
}

/// What a run cannot go on with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// A time past 584 years.
    #[error(
        "virtual time overflows at `{component}` after {now_s} s; shorten its times or the run"
    )]
    TimeOverflow {
        /// Where.
        component: String,
        /// When, in whole seconds.
        now_s: u64,
    },
    /// Parts pile up without end.
    #[error(
        "{count} parts are in flight at `{component}` after {now_s} s; the model is overloaded, give it more servers or a capacity"
    )]
    TooManyInFlight {
        /// Parts in flight.
        count: usize,
        /// Where the last one came.
        component: String,
        /// When, in whole seconds.
        now_s: u64,
    },
    /// Stations that wait for each other's room.
    #[error(
        "stations wait for each other's room for ever at `{component}` after {now_s} s; give one of them more capacity, or let it reject"
    )]
    Deadlock {
        /// Where.
        component: String,
        /// When, in whole seconds.
        now_s: u64,
    },
    /// Steps without any time between them.
    #[error(
        "requests go round in a circle without delay at `{component}` after {now_s} s; give a station on the way a service time"
    )]
    NoProgress {
        /// Where.
        component: String,
        /// When, in whole seconds.
        now_s: u64,
    },
}
