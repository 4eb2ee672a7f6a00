//! Analysis: what runs say, and how sure it is.
//!
//! Belongs here: statistics, intervals, theory, checks of models before they run. Does not belong
//! here: making events (kernel), meaning of events (model::state), writing events anywhere.

mod answer;
mod batch;
mod calls;
mod closed;
mod conditions;
mod deadline;
mod gauges;
mod histogram;
mod interval;
mod level;
mod observe;
mod precise;
mod queueing;
mod replicate;
mod runs;
mod serving;
mod statistics;
mod theory;
mod traffic;
mod value;
mod walk;
mod warmup;
mod warnings;

pub use answer::{
    Answer, AtAnswer, FlowAnswer, Requests, SloVerdict, Spread, StationAnswer, SystemAnswer, Value,
};
pub use deadline::{DeadlineAnswer, LimitAnswer};
pub use interval::{mean_interval, student_t_quantile};
pub use precise::{Precise, Precision, run_until_precise};
pub use replicate::{Timing, replicate, simulate};
pub use runs::Runs;
pub use serving::{ServerAnswer, ServingAnswer};
pub use statistics::{Figures, Statistics};
pub use theory::{Exact, ExactClass, ExactTimes};
pub use traffic::{Overload, find_overload};
