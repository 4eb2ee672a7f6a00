//! Where settings come from: the process, `.env`, a TOML file.
//!
//! Belongs here: reading and looking up. Does not belong here: what settings exist.

use super::ConfigError;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;

/// Keys a settings file may have.
const FILE_KEYS: [&str; 52] = [
    "store",
    "queue",
    "smtp",
    "kafka",
    "record",
    "record_segment_bytes",
    "record_segment_time",
    "record_keep_bytes",
    "record_keep_time",
    "data",
    "port_base",
    "retry_scale",
    "cors_origin",
    "live_view_auth",
    "load_balancer_port",
    "server1_port",
    "server2_port",
    "server3_port",
    "gateway_port",
    "recorder_port",
    "bind",
    "load_balancer_host",
    "server1_host",
    "server2_host",
    "server3_host",
    "gateway_host",
    "recorder_host",
    "trusted_proxies",
    "redis_host",
    "redis_port",
    "redis_username",
    "redis_password",
    "redis_ca_file",
    "mail_queue_concurrency",
    "mail_queue_rate",
    "inapp_queue_rate",
    "inapp_queue_concurrency",
    "inapp_max_attempts",
    "inapp_retry_delay",
    "ws_heartbeat_interval",
    "ws_auth_timeout",
    "ws_max_connections",
    "email_host",
    "email_port",
    "email_user",
    "email_password",
    "email_from",
    "email_ca_file",
    "email_timeout",
    "jwt_secret",
    "log",
    "config",
];

/// Environment variables, those of the process before those of `.env` in the working folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    values: HashMap<String, String>,
}

impl Environment {
    /// The process's own environment and `.env`.
    #[must_use]
    pub(crate) fn of_process() -> Self {
        let mut values = HashMap::new();
        if let Ok(text) = std::fs::read_to_string(".env") {
            values.extend(parse_env_file(&text));
        }
        // Names and values that are not Unicode are none of ours.
        let own = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        values.extend(own);
        Self { values }
    }

    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            values: pairs.iter().map(own).collect(),
        }
    }
}

/// `NAME=value` lines; empty lines, `#` comments and a leading `export` are fine, quotes are taken off.
fn parse_env_file(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| {
            let (name, value) = line
                .strip_prefix("export ")
                .unwrap_or(line)
                .split_once('=')?;
            let value = value.trim();
            let unquoted = ['"', '\'']
                .iter()
                .find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote))
                .unwrap_or(value);
            Some((name.trim().to_owned(), unquoted.to_owned()))
        })
}

/// All sources of one start.
pub(super) struct Sources<'a> {
    environment: &'a Environment,
    file: HashMap<String, String>,
}

impl<'a> Sources<'a> {
    pub(super) fn open(
        environment: &'a Environment,
        flag: Option<&Path>,
    ) -> Result<Self, ConfigError> {
        let named = environment.values.get("FLOWREEL_CONFIG").map(Path::new);
        let file = flag
            .or(named)
            .map(read_file)
            .transpose()?
            .unwrap_or_default();
        Ok(Self { environment, file })
    }

    /// The flag, else the first of the variables that is set, else the file's key.
    #[expect(clippy::unnecessary_wraps, reason = "all look-ups read alike")]
    pub(super) fn text(
        &self,
        flag: Option<&str>,
        names: &[&str],
        key: &'static str,
    ) -> Result<Option<String>, ConfigError> {
        Ok(self.said(flag, names).or_else(|| self.kept(key)))
    }

    /// The flag, else the first of the variables that is set: for settings of which one excludes another, so
    /// that the file's never goes before the environment's.
    pub(super) fn said(&self, flag: Option<&str>, names: &[&str]) -> Option<String> {
        let variable = || {
            names
                .iter()
                .find_map(|&name| self.environment.values.get(name).filter(|v| !v.is_empty()))
        };
        flag.map(str::to_owned).or_else(|| variable().cloned())
    }

    /// What the file says.
    pub(super) fn kept(&self, key: &str) -> Option<String> {
        self.file.get(key).cloned()
    }

    pub(super) fn number(
        &self,
        flag: Option<&str>,
        names: &[&str],
        key: &'static str,
        default: f64,
    ) -> Result<f64, ConfigError> {
        let Some(text) = self.text(flag, names, key)? else {
            return Ok(default);
        };
        text.parse()
            .map_err(|_not_a_number| wrong(names, key, &text, "a number"))
    }

    pub(super) fn whole(
        &self,
        flag: Option<&str>,
        names: &[&str],
        key: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> Result<u64, ConfigError> {
        let Some(text) = self.text(flag, names, key)? else {
            return Ok(default);
        };
        let number = text.parse().ok().filter(|number| range.contains(number));
        let wanted = format!("a whole number from {} to {}", range.start(), range.end());
        number.ok_or_else(|| wrong(names, key, &text, &wanted))
    }
}

pub(super) fn wrong(names: &[&str], key: &str, text: &str, wanted: &str) -> ConfigError {
    let names = names.join(" or ");
    ConfigError(format!(
        "the setting {key} ({names}) is `{text}`; write {wanted}"
    ))
}

fn read_file(path: &Path) -> Result<HashMap<String, String>, ConfigError> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError(format!("settings file {shown} cannot be read: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| {
            text.get(..span.start)
                .map_or(0, |before| before.matches('\n').count())
                + 1
        });
        ConfigError(format!(
            "settings file {shown}:{line} is no TOML: {}",
            error.message()
        ))
    })?;
    table
        .into_iter()
        .map(|(key, value)| {
            if !FILE_KEYS.contains(&key.as_str()) {
                let known = FILE_KEYS.join(", ");
                return Err(ConfigError(format!(
                    "settings file {shown} has the unknown key `{key}`; known are {known}"
                )));
            }
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                _ => {
                    return Err(ConfigError(format!(
                        "settings file {shown}: `{key}` must be a text or a number"
                    )));
                }
            };
            Ok((key, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_are_read_line_by_line() {
        let text = "# comment\n\nA=1\nexport B = \"two words\"\nC='x'\nnonsense\n";
        let values: HashMap<_, _> = parse_env_file(text).collect();
        assert_eq!(values.len(), 3);
        assert_eq!(
            (
                values["A"].as_str(),
                values["B"].as_str(),
                values["C"].as_str()
            ),
            ("1", "two words", "x")
        );
    }
    #[test]
    fn what_the_environment_names_goes_before_another_key_of_the_file() {
        use super::super::{Args, QueuePart, Relay, Settings};
        use clap::Parser;
        let name = format!("flowreel-settings-{}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        let text = "smtp = \"embedded\"\nqueue = \"redis://file:1\"\nport_base = 9000\n";
        std::fs::write(&path, text).unwrap();
        let read = |flags: &[&str], set: &[(&str, &str)]| {
            let own = ["flowreel-live", "--config", path.to_str().unwrap()];
            let args = Args::try_parse_from(own.iter().chain(flags)).unwrap();
            Settings::read(&args, &Environment::of(set)).unwrap()
        };
        let redis = |settings: &Settings| match &settings.queue {
            QueuePart::Redis(address) => address.with_secret().to_owned(),
            QueuePart::Embedded => "embedded".to_owned(),
        };
        let plain = read(&[], &[]);
        assert_eq!(plain.relay, Relay::Embedded);
        assert_eq!(redis(&plain), "redis://file:1");
        assert_eq!(plain.ports.servers, [9001, 9002, 9003]);
        let set = [
            ("EMAIL_HOST", "mail.example"),
            ("REDIS_HOST", "set"),
            ("SERVER2_PORT", "6002"),
        ];
        let named = read(&[], &set);
        assert!(matches!(named.relay, Relay::Remote(_)), "{:?}", named.relay);
        assert_eq!(redis(&named), "redis://set:6379");
        assert_eq!(named.ports.servers, [9001, 6002, 9003]);
        let flags = [
            "--smtp",
            "embedded",
            "--queue",
            "redis://flag:2",
            "--port-base",
            "7000",
        ];
        let flagged = read(&flags, &set);
        assert_eq!(flagged.relay, Relay::Embedded);
        assert_eq!(redis(&flagged), "redis://flag:2");
        assert_eq!(flagged.ports.servers, [7001, 7002, 7003]);
        std::fs::remove_file(path).unwrap();
    }
}
