//! Settings: flags before environment before file before defaults.
//!
//! Belongs here: every setting, its names, its default, and its checks; the only reader of the environment
//! and of settings files. Does not belong here: what a setting does.

mod live_view;
mod parts;
mod ports;
mod proxies;
mod recording;
mod relay;
mod sources;

pub(crate) use live_view::LiveViewAuth;
pub(crate) use parts::{Address, QueuePart, StorePart};
pub(crate) use ports::{Hosts, Ports};
pub(crate) use recording::Recording;
pub(crate) use relay::{Relay, RemoteRelay, Security};
pub(crate) use sources::Environment;

use crate::load::LoadArgs;
use crate::telemetry::Place;
use clap::{Parser, Subcommand};
use parts::without_secret;
use sources::Sources;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The live notification backend with its recorder.
#[derive(Parser, Debug, Default)]
#[command(name = "flowreel-live", version, about)]
pub(crate) struct Args {
    /// What to run; everything in one process where nothing is named.
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// Where data are kept: embedded, or `mongodb://…`.
    #[arg(long, global = true)]
    store: Option<String>,
    /// Where jobs are kept: embedded, or `redis://…`.
    #[arg(long, global = true)]
    queue: Option<String>,
    /// Who sends mail: embedded, `smtp://HOST:PORT`, `smtp+starttls://…` or `smtps://…`.
    #[arg(long, global = true)]
    smtp: Option<String>,
    /// Topic log: off, embedded or HOST:PORT.
    #[arg(long, global = true)]
    kafka: Option<String>,
    /// Folder for recordings, or `off`.
    #[arg(long, global = true)]
    record: Option<String>,
    /// A recording goes on in another file past this size, such as 256MiB, or `off`.
    #[arg(long, global = true)]
    record_segment_bytes: Option<String>,
    /// A recording goes on in another file past this time, such as 1h, or `off`.
    #[arg(long, global = true)]
    record_segment_time: Option<String>,
    /// Recordings may take this much space, the oldest files go first; `off` keeps them all.
    #[arg(long, global = true)]
    record_keep_bytes: Option<String>,
    /// Recordings are kept this long after they were last written, such as 7d; `off` keeps them for ever.
    #[arg(long, global = true)]
    record_keep_time: Option<String>,
    /// Folder for the store and the mails.
    #[arg(long, global = true)]
    data: Option<String>,
    /// Settings file (TOML).
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    /// Ports from N on: balancer N, servers N+1 to N+3, gateway N+4, recorder N+5; 0 takes any free ones.
    #[arg(long, global = true)]
    port_base: Option<String>,
    /// Prints one JSON line on standard output when every port answers.
    #[arg(long, global = true)]
    print_ready: bool,
    /// Divides the retry delays, for demonstrations and tests.
    #[arg(long, global = true)]
    retry_scale: Option<String>,
}

/// What one process is.
#[derive(Subcommand, Debug)]
pub(crate) enum Role {
    /// Every part in one process.
    All,
    /// The load balancer.
    Balancer,
    /// One server.
    Server {
        /// Which.
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3))]
        index: u8,
    },
    /// The worker that sends mail.
    MailWorker,
    /// The worker that delivers to sockets.
    InAppWorker,
    /// The real-time gateway.
    Gateway,
    /// The recorder.
    Recorder,
    /// Traffic with figures, against a backend that runs already.
    Load(Box<LoadArgs>),
    /// Check-ins of made-up guests.
    SimulateCheckIns,
    /// Which parts are up, and what is wrong with those that are not.
    Status(StatusArgs),
}

/// How `status` answers.
#[derive(clap::Args, Debug, Clone, Copy, Default)]
pub(crate) struct StatusArgs {
    /// One JSON object instead of lines for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What one long-lived process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    All,
    Balancer,
    Server(Place),
    MailWorker,
    InAppWorker,
    Gateway,
    Recorder,
}

impl Process {
    /// The role's name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Balancer => "balancer",
            Self::Server(_) => "server",
            Self::MailWorker => "mail-worker",
            Self::InAppWorker => "in-app-worker",
            Self::Gateway => "gateway",
            Self::Recorder => "recorder",
        }
    }
}

/// All settings of one process.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) process: Process,
    pub(crate) store: StorePart,
    pub(crate) queue: QueuePart,
    pub(crate) ports: Ports,
    pub(crate) hosts: Hosts,
    pub(crate) relay: Relay,
    /// `None` records nothing.
    pub(crate) record: Option<PathBuf>,
    pub(crate) recording: Recording,
    pub(crate) data: PathBuf,
    pub(crate) print_ready: bool,
    pub(crate) retry_scale: f64,
    pub(crate) origins: Vec<String>,
    /// Proxies before the balancer that are believed when they say for whom they ask.
    pub(crate) trusted_proxies: Vec<IpAddr>,
    pub(crate) live_view_auth: LiveViewAuth,
    pub(crate) mail_concurrency: usize,
    pub(crate) in_app_concurrency: usize,
    /// Starts per second and worker (requirements C31).
    pub(crate) mail_rate_per_s: f64,
    pub(crate) in_app_rate_per_s: f64,
    pub(crate) in_app_attempts_max: u16,
    pub(crate) in_app_retry: Duration,
    pub(crate) heartbeat: Duration,
    /// A socket on which nobody authenticates by then is closed.
    pub(crate) auth_timeout: Duration,
    /// 0 is no limit.
    pub(crate) connections_max: u64,
    /// `None` makes one and keeps it in the data folder.
    pub(crate) jwt_secret: Option<String>,
    pub(crate) log_filter: String,
}

/// Why the settings cannot be used: one sentence with the setting, its place and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConfigError(pub(crate) String);

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// [`ConfigError`] for values that cannot be used, unknown keys, and parts that are not built yet.
    pub(crate) fn read(args: &Args, environment: &Environment) -> Result<Self, ConfigError> {
        let sources = Sources::open(environment, args.config.as_deref())?;
        let process = process_of(args)?;
        let (store, queue) = (parts::store(args, &sources)?, parts::queue(args, &sources)?);
        parts::check(process, &store, &queue)?;
        check_topic_log(args, &sources)?;
        let record = sources.text(args.record.as_deref(), &["FLOWREEL_RECORD"], "record")?;
        let data = sources.text(args.data.as_deref(), &["FLOWREEL_DATA"], "data")?;
        let origins = origins(&sources)?;
        let scale = sources.number(
            args.retry_scale.as_deref(),
            &["FLOWREEL_RETRY_SCALE"],
            "retry_scale",
            1.0,
        )?;
        if !(scale > 0.0 && scale <= 1e6) {
            return Err(ConfigError(
                "--retry-scale must be above 0 and up to 1000000".to_owned(),
            ));
        }
        let secret = sources.text(None, &["JWT_SECRET"], "jwt_secret")?;
        if secret
            .as_ref()
            .is_some_and(|text| text.len() < crate::security::tokens::SECRET_BYTES_MIN)
        {
            return Err(ConfigError(
                "JWT_SECRET must be 32 bytes or longer; leave it out to have one made".to_owned(),
            ));
        }
        let milliseconds = |name, key| {
            let whole = sources.whole(None, &[name], key, 100..=600_000, 30_000);
            whole.map(Duration::from_millis)
        };
        let whole = |name, key, default| sources.whole(None, &[name], key, 1..=10_000, default);
        Ok(Self {
            process,
            store,
            queue,
            ports: Ports::read(args, &sources)?,
            hosts: Hosts::read(&sources)?,
            relay: Relay::read(args, &sources)?,
            record: match record.as_deref() {
                None => Some(PathBuf::from("recordings")),
                Some("off") => None,
                Some(folder) => Some(PathBuf::from(folder)),
            },
            recording: Recording::read(args, &sources)?,
            data: PathBuf::from(data.unwrap_or_else(|| "flowreel-data".to_owned())),
            print_ready: args.print_ready,
            retry_scale: scale,
            live_view_auth: LiveViewAuth::read(&sources)?,
            trusted_proxies: proxies::trusted(&sources)?,
            origins,
            mail_rate_per_s: rate(&sources, "MAIL_QUEUE_RATE", "mail_queue_rate", 5.0)?,
            in_app_rate_per_s: rate(&sources, "INAPP_QUEUE_RATE", "inapp_queue_rate", 10.0)?,
            mail_concurrency: to_usize(whole(
                "MAIL_QUEUE_CONCURRENCY",
                "mail_queue_concurrency",
                5,
            )?),
            in_app_concurrency: to_usize(whole(
                "INAPP_QUEUE_CONCURRENCY",
                "inapp_queue_concurrency",
                10,
            )?),
            in_app_attempts_max: u16::try_from(whole(
                "INAPP_MAX_ATTEMPTS",
                "inapp_max_attempts",
                3,
            )?)
            .unwrap_or(u16::MAX),
            in_app_retry: Duration::from_millis(sources.whole(
                None,
                &["INAPP_RETRY_DELAY"],
                "inapp_retry_delay",
                1..=86_400_000,
                60_000,
            )?),
            auth_timeout: milliseconds("WS_AUTH_TIMEOUT", "ws_auth_timeout")?,
            heartbeat: milliseconds("WS_HEARTBEAT_INTERVAL", "ws_heartbeat_interval")?,
            connections_max: sources.whole(
                None,
                &["WS_MAX_CONNECTIONS"],
                "ws_max_connections",
                0..=10_000_000,
                0,
            )?,
            jwt_secret: secret,
            log_filter: sources
                .text(None, &["RUST_LOG"], "log")?
                .unwrap_or_else(|| "info".to_owned()),
        })
    }
}

fn rate(
    sources: &Sources<'_>,
    name: &'static str,
    key: &'static str,
    default_per_s: f64,
) -> Result<f64, ConfigError> {
    let rate = sources.number(None, &[name], key, default_per_s)?;
    if rate > 0.0 && rate <= 1e6 {
        return Ok(rate);
    }
    Err(ConfigError(format!(
        "{name} `{rate}` must be starts per second, above 0 and up to 1000000"
    )))
}

/// What this process does; a role that ends with its answer stands on the parts of `all`.
fn process_of(args: &Args) -> Result<Process, ConfigError> {
    let process = match &args.role {
        None | Some(Role::All | Role::Load(_) | Role::Status(_)) => Process::All,
        Some(Role::Balancer) => Process::Balancer,
        Some(Role::Server { index }) => Process::Server(match index {
            1 => Place::Server1,
            2 => Place::Server2,
            _ => Place::Server3,
        }),
        Some(Role::MailWorker) => Process::MailWorker,
        Some(Role::InAppWorker) => Process::InAppWorker,
        Some(Role::Gateway) => Process::Gateway,
        Some(Role::Recorder) => Process::Recorder,
        Some(Role::SimulateCheckIns) => {
            return Err(ConfigError(
                "the role `simulate-check-ins` is not built in this version; `flowreel-live load` makes traffic".to_owned(),
            ));
        }
    };
    Ok(process)
}

/// Refuses a topic log that is not built, so that nobody believes to run on it.
fn check_topic_log(args: &Args, sources: &Sources<'_>) -> Result<(), ConfigError> {
    let kafka = sources.text(args.kafka.as_deref(), &["FLOWREEL_KAFKA"], "kafka")?;
    kafka
        .filter(|value| value != "off")
        .map_or(Ok(()), |value| {
            Err(ConfigError(format!(
                "the topic log `{}` is not spoken by this version; only `off` is",
                without_secret(&value)
            )))
        })
}

/// Those of both variables, or of the file.
fn origins(sources: &Sources) -> Result<Vec<String>, ConfigError> {
    let frontend = sources.said(None, &["FRONTEND_URL"]);
    let origins = match (sources.said(None, &["CORS_ORIGIN"]), frontend) {
        (None, None) => sources.text(None, &[], "cors_origin")?,
        (first, second) => Some([first, second].map(Option::unwrap_or_default).join(",")),
    };
    let default = "http://localhost:3000,http://localhost:3003";
    Ok(list(origins.as_deref().unwrap_or(default)))
}

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn to_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn read(args: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let args = Args::try_parse_from(std::iter::once(&"flowreel-live").chain(args));
        let args = args.map_err(|error| error.to_string())?;
        Settings::read(&args, &Environment::of(environment)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_settings_the_documents_defaults_hold() {
        let settings = read(&[], &[]).unwrap();
        assert_eq!(
            settings.ports,
            Ports {
                balancer: 8000,
                servers: [5001, 5002, 5003],
                gateway: 3002,
                recorder: 8005
            }
        );
        let origins = |set: &[(&str, &str)]| read(&[], set).unwrap().origins;
        let default = ["http://localhost:3000", "http://localhost:3003"];
        assert_eq!(settings.origins, default);
        let (cors, frontend) = (
            ("CORS_ORIGIN", "http://a, http://b"),
            ("FRONTEND_URL", "http://c"),
        );
        assert_eq!(origins(&[cors]), ["http://a", "http://b"]);
        assert_eq!(origins(&[frontend]), ["http://c"]);
        assert_eq!(
            origins(&[cors, frontend]),
            ["http://a", "http://b", "http://c"]
        );
        assert_eq!(
            (settings.mail_concurrency, settings.in_app_concurrency),
            (5, 10)
        );
        let rates = (settings.mail_rate_per_s, settings.in_app_rate_per_s);
        assert_eq!(rates, (5.0, 10.0));
        assert_eq!(settings.in_app_retry, Duration::from_secs(60));
        assert_eq!(settings.relay, Relay::Embedded);
    }

    #[test]
    fn flags_come_before_the_environment() {
        let environment = [
            ("FLOWREEL_DATA", "a"),
            ("SERVER2_PORT", "6002"),
            ("FLOWREEL_RECORD", "off"),
        ];
        let settings = read(&["--data", "b"], &environment).unwrap();
        assert_eq!(settings.data, PathBuf::from("b"));
        assert_eq!(settings.ports.servers, [5001, 6002, 5003]);
        assert_eq!(settings.record, None);
        let settings = read(&["--port-base", "9000"], &environment).unwrap();
        assert_eq!(settings.ports.servers, [9001, 9002, 9003]);
        let settings = read(&["--port-base", "0"], &[]).unwrap();
        assert_eq!(
            settings.ports,
            Ports {
                balancer: 0,
                servers: [0; 3],
                gateway: 0,
                recorder: 0
            }
        );
    }

    #[test]
    fn what_is_not_built_is_refused_and_secrets_are_not_repeated() {
        for (args, named) in [
            (
                vec!["--store", "sql://u:secret@host/db"],
                "sql://***@host/db",
            ),
            (vec!["--queue", "amqp://:secret@host"], "amqp://***@host"),
            (vec!["--kafka", "host:9092"], "host:9092"),
            (
                vec!["--queue", "amqp://u:se?secret@host"],
                "amqp://***@host",
            ),
            (
                vec!["--queue", "amqp://u:s#secret@host?x=secret"],
                "amqp://***@host`",
            ),
            (vec!["--queue", "u:secret@host"], "`***@host`"),
            (vec!["--store", "u:secret://secret@host"], "`***@host`"),
            (vec!["--kafka", "u:secret@host:9092"], "`***@host:9092`"),
            (vec!["simulate-check-ins"], "simulate-check-ins"),
        ] {
            let error = read(&args, &[]).unwrap_err();
            assert!(error.contains(named), "{args:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        for (args, environment, named) in [
            (vec!["--port-base", "70000"], vec![], "70000"),
            (vec!["--retry-scale", "0"], vec![], "--retry-scale"),
            (vec!["--retry-scale", "fast"], vec![], "fast"),
            (
                vec![],
                vec![("MAIL_QUEUE_CONCURRENCY", "0")],
                "MAIL_QUEUE_CONCURRENCY",
            ),
            (vec![], vec![("JWT_SECRET", "short")], "JWT_SECRET"),
            (vec!["server", "--index", "4"], vec![], "--index"),
        ] {
            let error = read(&args, &environment).unwrap_err();
            assert!(error.contains(named), "{args:?} {environment:?}: {error}");
        }
    }
}
