//! The load driver: scripted users who sign up, log in, buy, befriend each other, and hear about it on
//! their sockets; and what all that took.
//!
//! Belongs here: traffic made from outside, over HTTP and Socket.IO, as any client would make it. Does
//! not belong here: anything of the backend's inside.
//!
//! Arrivals are open-loop: each has an intended start drawn before the run (Poisson, seeded), and every
//! figure counts from it. A backend that stalls therefore shows its stall in the figures, and does not
//! slow the arrivals down.

mod answer;
mod drive;
mod http;
mod mix;
mod report;
mod settings;
mod socket;
mod user;

pub use answer::{Accepted, ActionError};
pub use drive::run;
pub use http::{Http, HttpError};
pub use mix::{Arrival, Mix, ParseMixError, plan_arrivals};
pub use report::{LoadReport, Spread};
pub use settings::{LoadArgs, LoadError, LoadSettings};
pub use socket::{Socket, SocketError, SocketEvent};
pub use user::User;
