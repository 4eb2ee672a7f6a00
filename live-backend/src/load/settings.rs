//! What a load run is told: where to, how much, how long.
//!
//! Belongs here: the command line of `flowreel-live load` and its limits. Does not belong here: the run.

use super::http::HttpError;
use super::mix::{ARRIVAL_COUNT_MAX, Mix};
use super::socket::SocketError;
use flowreel_engine::model::time::parse_duration_ns;

/// Users one run may have.
const USER_COUNT_MAX: u32 = 10_000;

/// Drive mixed traffic with connected clients against a running backend and report what it took.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// Address of the load balancer.
    #[arg(long, value_name = "URL", default_value_t = Self::default().url)]
    pub url: String,
    /// How long requests are sent: 30s, 5m.
    #[arg(long, value_name = "DURATION", default_value_t = Self::default().duration)]
    pub duration: String,
    /// Requests per second on average, Poisson.
    #[arg(long, value_name = "PER_SECOND", default_value_t = Self::default().rate)]
    pub rate: f64,
    /// Users that are signed up and connected before the first request.
    #[arg(long, value_name = "N", default_value_t = Self::default().users)]
    pub users: u32,
    /// Shares of the classes: login=0.5,purchase=0.5.
    #[arg(long, value_name = "MIX", default_value_t = Mix::default())]
    pub mix: Mix,
    /// Seed of arrivals, classes and users.
    #[arg(long, value_name = "N", default_value_t = Self::default().seed)]
    pub seed: u64,
    /// Requests in this time from the start are sent but not measured.
    #[arg(long, value_name = "DURATION", default_value_t = Self::default().warmup)]
    pub warmup: String,
    /// How long deliveries still on their way are waited for at the end.
    #[arg(long, value_name = "DURATION", default_value_t = Self::default().drain)]
    pub drain: String,
}

/// A load run that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSettings {
    /// Address of the load balancer, without a slash at its end.
    pub url: String,
    /// How long requests are sent.
    pub duration_ns: u64,
    /// Requests per second on average.
    pub rate_per_s: f64,
    /// Users connected before the first request.
    pub user_count: u32,
    /// Shares of the classes.
    pub mix: Mix,
    /// Seed of arrivals, classes and users.
    pub seed: u64,
    /// Requests in this time from the start are not measured.
    pub warmup_ns: u64,
    /// How long deliveries still on their way are waited for.
    pub drain_ns: u64,
}

/// Why a load run could not be made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A setting makes no sense.
    #[error("--{setting} {value}: {problem}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is wrong, and what to write.
        problem: String,
    },
    /// The backend does not answer.
    #[error(
        "the backend at {url} cannot be used: {source}; start `flowreel-live` and name its balancer with --url"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// What happened.
        #[source]
        source: HttpError,
    },
    /// The backend refused a user.
    #[error("the backend at {url} refuses a new user: {reason}")]
    Refused {
        /// Where.
        url: String,
        /// In its words.
        reason: String,
    },
    /// The backend gives no socket.
    #[error("the backend at {url} gives a user no socket: {source}")]
    NoSocket {
        /// Where.
        url: String,
        /// What happened.
        #[source]
        source: SocketError,
    },
}

impl LoadError {
    /// True where the command line is at fault, false where the backend or the machine is.
    #[must_use]
    pub const fn is_bad_input(&self) -> bool {
        matches!(self, Self::Setting { .. })
    }
}

impl Default for LoadArgs {
    /// What stands on the command line where nothing is written.
    fn default() -> Self {
        Self {
            url: "http://127.0.0.1:8000".to_owned(),
            duration: "30s".to_owned(),
            rate: 4.0,
            users: 20,
            mix: Mix::default(),
            seed: 1,
            warmup: "2s".to_owned(),
            drain: "30s".to_owned(),
        }
    }
}

impl TryFrom<&LoadArgs> for LoadSettings {
    type Error = LoadError;

    fn try_from(args: &LoadArgs) -> Result<Self, LoadError> {
        let refuse = |setting, value: &str, problem: &str| LoadError::Setting {
            setting,
            value: value.to_owned(),
            problem: problem.to_owned(),
        };
        let duration = |setting, text: &str| {
            parse_duration_ns(text).map_err(|error| refuse(setting, text, &error.to_string()))
        };
        let duration_ns = duration("duration", &args.duration)?;
        if !(args.rate > 0.0 && args.rate <= 1e6) {
            let rate = args.rate.to_string();
            return Err(refuse(
                "rate",
                &rate,
                "write a number above 0 and up to 1000000",
            ));
        }
        let expected_count = args.rate * flowreel_engine::model::time::seconds_from_ns(duration_ns);
        #[expect(clippy::cast_precision_loss, reason = "a round limit")]
        if expected_count > ARRIVAL_COUNT_MAX as f64 / 2.0 {
            let problem = "that makes more than 2.5 million requests; use a shorter --duration";
            return Err(refuse("duration", &args.duration, problem));
        }
        if !(2..=USER_COUNT_MAX).contains(&args.users) {
            let users = args.users.to_string();
            return Err(refuse("users", &users, "write a number from 2 to 10000"));
        }
        let url = args.url.trim_end_matches('/');
        if !url.starts_with("http://") || url.len() <= "http://".len() {
            return Err(refuse("url", &args.url, "write http://HOST:PORT"));
        }
        Ok(Self {
            url: url.to_owned(),
            duration_ns,
            rate_per_s: args.rate,
            user_count: args.users,
            mix: args.mix.clone(),
            seed: args.seed,
            warmup_ns: duration("warmup", &args.warmup)?,
            drain_ns: duration("drain", &args.drain)?,
        })
    }
}
