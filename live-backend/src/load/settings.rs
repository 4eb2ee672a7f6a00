//! What a load run is told: where to, how much, how long.
//!
//! Belongs here: the command line of `flowreel-live load` and its limits. Does not belong here: the run.

use super::http::HttpError;
use super::mix::Mix;
use super::profile::Profile;
use super::schedule::Spacing;
use super::socket::SocketError;
use flowreel_engine::model::time::parse_duration_ns;

/// Users one run may have.
const USER_COUNT_MAX: u32 = 10_000;
/// Sockets of each kind one run may have.
const SOCKET_COUNT_MAX: u32 = 100_000;
/// Requests one run may intend.
const REQUEST_COUNT_MAX: f64 = 2_500_000.0;

/// What makes the next request begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Model {
    /// Its time has come, whatever became of those before it.
    #[default]
    Open,
    /// Each of the users has its answer and has thought about it.
    Closed,
    /// Partly open: sessions begin as their time comes; within one, as in a closed model.
    Sessions,
}

impl Model {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Sessions => "sessions",
        }
    }
}

/// Drive mixed traffic with connected clients against a running backend and report what it took.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// Address of the load balancer.
    #[arg(long, value_name = "URL", default_value_t = Self::default().url)]
    pub url: String,
    /// How long requests are sent: 30s, 5m.
    #[arg(long, value_name = "DURATION", default_value_t = Self::default().duration)]
    pub duration: String,
    /// What makes a request begin: its time (open), or the answer to the one before it and some thought
    /// (closed), or both in sessions (partly open).
    #[arg(long, value_enum, default_value_t = Model::Open)]
    pub model: Model,
    /// Requests, or sessions, per second on average.
    #[arg(long, value_name = "PER_SECOND", default_value_t = Self::default().rate)]
    pub rate: f64,
    /// A rate that changes, in place of --rate: RATE:TIME or FROM..TO:TIME pieces. A ramp and what it leads
    /// to is `50..500:60s,500:30s`, steps are `50:10s,100:10s`, bursts are `20:9s,500:1s,repeat`; the last
    /// rate is held.
    #[arg(long, value_name = "PROFILE", conflicts_with = "rate")]
    pub profile: Option<Profile>,
    /// Whether requests or sessions come by chance or as a clock ticks.
    #[arg(long, value_enum, default_value_t = Spacing::Poisson)]
    pub arrivals: Spacing,
    /// Mean time a user thinks between an answer and the next request, exponential (closed, sessions).
    #[arg(long, value_name = "DURATION", default_value_t = Self::default().think)]
    pub think: String,
    /// Mean number of requests of a session, geometric.
    #[arg(long, value_name = "N", default_value_t = Self::default().session_requests)]
    pub session_requests: f64,
    /// Users that are signed up and connected before the first request; 0 sends no requests, for sockets alone.
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
    /// Sockets whose users prove who they are and confirm what they hear, spread over the users; one each
    /// where nothing is written.
    #[arg(long, value_name = "N")]
    pub sockets: Option<u32>,
    /// Sockets beside them that only stay connected.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub sockets_idle: u32,
    /// Administrator's token, where the backend shows its counts to nobody else; with them the report tells
    /// whether what was accepted is delivered, queued or failed.
    #[arg(
        long,
        value_name = "TOKEN",
        default_value = "",
        hide_default_value = true
    )]
    pub token: String,
}

/// A load run that makes sense.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSettings {
    /// Address of the load balancer, without a slash at its end.
    pub url: String,
    /// How long requests are sent.
    pub duration_ns: u64,
    /// What makes a request begin.
    pub model: Model,
    /// Intended requests, or sessions, per second over time.
    pub profile: Profile,
    /// How far apart they come.
    pub spacing: Spacing,
    /// Mean time between an answer and the next request.
    pub think_ns: u64,
    /// Mean requests of a session.
    pub session_requests: f64,
    /// Sockets that confirm.
    pub socket_count: u32,
    /// Sockets that only stay connected.
    pub idle_count: u32,
    /// Opens the backend's counts.
    pub token: Option<String>,
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
    /// The system gives no thread.
    #[error(
        "the system gives no thread to keep time: {source}; end other programs or raise the limit"
    )]
    NoThread {
        /// In its words.
        #[source]
        source: std::io::Error,
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
            model: Model::Open,
            rate: 4.0,
            profile: None,
            arrivals: Spacing::Poisson,
            think: "1s".to_owned(),
            session_requests: 5.0,
            users: 20,
            mix: Mix::default(),
            seed: 1,
            warmup: "2s".to_owned(),
            drain: "30s".to_owned(),
            sockets: None,
            sockets_idle: 0,
            token: String::new(),
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
        let profile = args.profile.clone();
        let profile = profile.unwrap_or_else(|| Profile::steady(args.rate));
        if !(1.0..=1e6).contains(&args.session_requests) {
            let count = args.session_requests.to_string();
            let problem = "write a number from 1 to 1000000";
            return Err(refuse("session-requests", &count, problem));
        }
        let per_arrival = match args.model {
            Model::Open => 1.0,
            Model::Sessions => args.session_requests,
            Model::Closed => 0.0,
        };
        if profile.expected_count(duration_ns) * per_arrival > REQUEST_COUNT_MAX {
            let problem = "that makes more than 2.5 million requests; use a shorter --duration";
            return Err(refuse("duration", &args.duration, problem));
        }
        if args.users != 0 && !(2..=USER_COUNT_MAX).contains(&args.users) {
            let users = args.users.to_string();
            return Err(refuse(
                "users",
                &users,
                "write 0 or a number from 2 to 10000",
            ));
        }
        let sockets = args.sockets.unwrap_or(args.users);
        for (setting, count, least) in [
            ("sockets", sockets, args.users),
            ("sockets-idle", args.sockets_idle, 0),
        ] {
            let has_nobody = setting == "sockets" && args.users == 0 && count > 0;
            if has_nobody || !(least..=SOCKET_COUNT_MAX).contains(&count) {
                let problem =
                    "write at least one for each user, none without users, and up to 100000";
                return Err(refuse(setting, &count.to_string(), problem));
            }
        }
        if args.users == 0 && args.sockets_idle == 0 {
            let problem = "without users there must be --sockets-idle";
            return Err(refuse("users", "0", problem));
        }
        let url = args.url.trim_end_matches('/');
        if !url.starts_with("http://") || url.len() <= "http://".len() {
            return Err(refuse("url", &args.url, "write http://HOST:PORT"));
        }
        Ok(Self {
            url: url.to_owned(),
            duration_ns,
            model: args.model,
            profile,
            spacing: args.arrivals,
            think_ns: duration("think", &args.think)?,
            session_requests: args.session_requests,
            socket_count: sockets,
            idle_count: args.sockets_idle,
            token: Some(args.token.clone()).filter(|token| !token.is_empty()),
            user_count: args.users,
            mix: args.mix.clone(),
            seed: args.seed,
            warmup_ns: duration("warmup", &args.warmup)?,
            drain_ns: duration("drain", &args.drain)?,
        })
    }
}
