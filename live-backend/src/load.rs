//! The load driver: scripted users who sign up, log in, buy, befriend each other, and hear about it on
//! their sockets; and what all that took.
//!
//! Belongs here: traffic made from outside, over HTTP and Socket.IO, as any client would make it. Does
//! not belong here: anything of the backend's inside.
//!
//! Every request has an intended start, and every figure counts from it, so a backend that stalls shows
//! its stall in the figures. In an open model the starts are drawn before anything is sent (schedule.rs);
//! in a closed one, and within a session, a start is the answer before it and a thought.

mod act;
mod answer;
mod books;
mod crowd;
mod drive;
mod http;
mod ledger;
mod listen;
mod mix;
mod pace;
mod profile;
mod reconnect;
mod renewal;
mod report;
mod schedule;
mod settings;
mod socket;
mod tally;
mod traffic;
mod user;

pub use answer::{Accepted, ActionError};
pub use books::Reconciliation;
pub use drive::run;
pub use http::{Http, HttpError};
pub use mix::{Mix, ParseMixError};
pub use profile::{ParseProfileError, Profile};
pub use report::{ClassReport, DriverReport, LoadReport, SocketReport, Spread};
pub use schedule::{Arrival, Schedule, Spacing};
pub use settings::{LoadArgs, LoadError, LoadSettings, Model};
pub use socket::{Socket, SocketError, SocketEvent};
pub use user::User;
