//! Reels out of reels: cut, joined, compared.
//!
//! Belongs here: which events go where, and on whose clock. Does not belong here: files and answers
//! (cli), bytes (recording), what events mean (model).
//!
//! A stretch of time keeps the numbers of its events, their times and their hash: it begins with a
//! gap for what is elsewhere and a keyframe of the state up to there, so every moment in it is as true
//! as in the whole. A choice of requests or components is a run of its own, counted from 0.

mod cursor;
mod divergence;
mod merge;
mod redact;
mod skew;
mod slice;

pub use divergence::{Comparison, Divergence, diverge};
pub use merge::{Merged, MergedPart, merge};
pub use redact::{Field, Redacted, redact};
pub use skew::Clock;
pub use slice::{Choice, SplitBy, Stretch, choose, slice, split};

use crate::recording::{ReelError, WriteError};

/// Why a reel cannot be made out of others.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// One of the reels cannot be read.
    #[error("{source}")]
    Read {
        /// Position among the reels given.
        part: usize,
        /// Why.
        source: ReelError,
    },
    /// The new reel cannot be written.
    #[error("{source}")]
    Write {
        /// Why.
        #[from]
        source: WriteError,
    },
    /// No file for it.
    #[error("cannot create `{name}`: {source}")]
    Create {
        /// Its name.
        name: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// Nothing fits what was asked for.
    #[error("no event fits; `flowreel info` tells what is in the reel")]
    Nothing,
    /// More reels than anybody wants.
    #[error(
        "splitting would make more than {limit} reels; choose a longer time or another criterion"
    )]
    TooManyParts {
        /// The most that are made.
        limit: usize,
    },
    /// Parts of one run that tell of different maps.
    #[error("the reels are of one run and have different topologies; they cannot be joined")]
    Topology {
        /// Position among the reels given.
        part: usize,
    },
    /// More components, classes or requests than a reel can number.
    #[error("together the reels have more {what} than one reel can number")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
}

impl EditError {
    const fn read(source: ReelError) -> Self {
        Self::Read { part: 0, source }
    }
}
