//! Where events come from: a file, a scenario that runs here, a backend that runs elsewhere.
//!
//! Belongs here: telling them apart, one bounded stream of messages for all three.
//! Does not belong here: what events mean (reel, engine state), drawing.

mod decode;
mod file;
mod live;
mod simulation;

use crate::view::Mode;
use flowreel_engine::model::event::StageEvent;
use flowreel_engine::model::id::DetailId;
use flowreel_engine::model::state::SystemState;
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::model::topology::Topology;
use flowreel_engine::recording::Detail;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Messages on their way to the app; a producer that is faster waits.
const MESSAGES_MAX: usize = 16;
/// Events in one message.
const EVENTS_PER_MESSAGE: usize = 4096;

/// What was named on the command line or in a dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A reel.
    File(PathBuf),
    /// A scenario to run.
    Scenario(PathBuf),
    /// Address of a running backend.
    Live(String),
}

impl Input {
    /// Tells inputs apart by how they are written.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.starts_with("http://") || text.starts_with("https://") {
            Self::Live(text.trim_end_matches('/').to_owned())
        } else if std::path::Path::new(text)
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("toml"))
        {
            Self::Scenario(PathBuf::from(text))
        } else {
            Self::File(PathBuf::from(text))
        }
    }

    /// Which way it is watched.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self {
            Self::File(_) => Mode::Replay,
            Self::Scenario(_) => Mode::Simulate,
            Self::Live(_) => Mode::Live,
        }
    }

    /// What was typed.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::File(path) | Self::Scenario(path) => path.display().to_string(),
            Self::Live(address) => address.clone(),
        }
    }

    /// File stem or address without its scheme.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) | Self::Scenario(path) => path.file_stem().map_or_else(
                || path.display().to_string(),
                |stem| stem.to_string_lossy().into_owned(),
            ),
            Self::Live(address) => address
                .split_once("://")
                .map_or(address.as_str(), |(_, rest)| rest)
                .to_owned(),
        }
    }
}

/// Why an input cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The input itself is wrong.
    #[error("{0}")]
    Bad(String),
    /// Something around it is: nothing answers, nothing can be read.
    #[error("{0}")]
    Unreachable(String),
}

/// What a source tells, in order.
#[derive(Debug)]
pub enum Message {
    /// The map; once, before any event. Again only if a live backend began a new run.
    Opened {
        /// The map.
        topology: Box<Topology>,
        /// Scenario seed.
        seed: Option<u64>,
        /// Where a simulated run will end.
        planned_end: Option<TimeNs>,
    },
    /// The next events, in order.
    Events(Vec<StageEvent>),
    /// Facts beside events.
    Details(DetailId, Vec<Detail>),
    /// Events are missing here.
    Gap {
        /// Last event before it.
        from: TimeNs,
        /// First event after it.
        to: TimeNs,
        /// How many, where known.
        events: Option<u64>,
    },
    /// The state to go on with after a gap.
    State(Box<SystemState>),
    /// Share that is read, 0 to 1.
    Progress(f32),
    /// A live source went away.
    Lost {
        /// One sentence.
        cause: String,
        /// Time until the next try.
        retry_in_s: f32,
    },
    /// It is back.
    Back,
    /// Nothing follows.
    End,
    /// Nothing follows, and something is wrong.
    Failed(SourceError),
}

/// A producer thread and the near end of its channel. Dropping it ends the thread at its next message.
#[derive(Debug)]
pub struct Source {
    receiver: Mutex<Receiver<Message>>,
    is_over: bool,
}

impl Source {
    /// Starts reading. Errors come as messages.
    #[must_use]
    pub fn open(input: &Input) -> Self {
        let (sender, receiver) = sync_channel(MESSAGES_MAX);
        let outlet = Outlet(sender);
        let sender_for_failure = outlet.clone();
        let input = input.clone();
        let work = move || {
            let ended = match &input {
                Input::File(path) => file::read(path, &outlet),
                Input::Scenario(path) => simulation::run(path, &outlet),
                Input::Live(address) => live::follow(address, &outlet),
            };
            match ended {
                Ok(()) => outlet.last(Message::End),
                Err(Stopped::Failed(error)) => outlet.last(Message::Failed(error)),
                Err(Stopped::Unwatched) => {}
            }
        };
        let started = std::thread::Builder::new()
            .name("flowreel-source".to_owned())
            .spawn(work);
        if let Err(error) = started {
            let text = format!("no thread can be started: {error}; close other programs");
            sender_for_failure.last(Message::Failed(SourceError::Unreachable(text)));
        }
        Self {
            receiver: Mutex::new(receiver),
            is_over: false,
        }
    }

    /// The next message, if one is at hand.
    pub fn poll(&mut self) -> Option<Message> {
        if self.is_over {
            return None;
        }
        let received = match self.receiver.get_mut() {
            Ok(receiver) => receiver.try_recv(),
            Err(_) => Err(TryRecvError::Disconnected),
        };
        self.note(match received {
            Ok(message) => Some(message),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Message::End),
        })
    }

    /// Waits for the next message; `None` once it is over.
    pub fn wait(&mut self) -> Option<Message> {
        if self.is_over {
            return None;
        }
        let received = self
            .receiver
            .get_mut()
            .ok()
            .and_then(|receiver| receiver.recv().ok());
        self.note(Some(received.unwrap_or(Message::End)))
    }

    fn note(&mut self, message: Option<Message>) -> Option<Message> {
        self.is_over |= matches!(message, Some(Message::End | Message::Failed(_)));
        message
    }

    /// Nothing follows.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }
}

/// Why a producer stops early.
#[derive(Debug)]
enum Stopped {
    /// The app dropped its end.
    Unwatched,
    /// It cannot go on.
    Failed(SourceError),
}

impl From<SourceError> for Stopped {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// The producer's end of the channel.
#[derive(Clone, Debug)]
struct Outlet(SyncSender<Message>);

impl Outlet {
    /// Hands a message over; waits while the channel is full.
    fn send(&self, message: Message) -> Result<(), Stopped> {
        self.0.send(message).map_err(|_unsent| Stopped::Unwatched)
    }

    /// Hands over events in pieces.
    fn events(&self, events: &[StageEvent]) -> Result<(), Stopped> {
        for piece in events.chunks(EVENTS_PER_MESSAGE) {
            self.send(Message::Events(piece.to_vec()))?;
        }
        Ok(())
    }

    /// Hands over the last message, whether anybody still listens or not.
    fn last(&self, message: Message) {
        if self.0.send(message).is_err() {
            // Nobody watches any more: there is no one left to tell.
        }
    }
}
