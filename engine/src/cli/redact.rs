//! `flowreel redact RUN.reel --field F … --out COPY.reel`: a copy to share outside.
//!
//! Belongs here: names of fields, the account of it. Does not belong here: the copy (editing).

use super::slice::PieceAnswer;
use super::{CliError, Console, Outcome, notes, reel_file};
use flowreel_engine::editing::{Field, redact};
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel redact recordings/smtp-refuses.reel --field users --field details --out copy.reel"
)]
pub(super) struct Args {
    /// Reel to copy.
    reel: PathBuf,
    /// What to leave out: users, details, detail.NAME, notes, started-at; may be given several times.
    #[arg(long = "field", value_name = "F", required = true, value_parser = parse_field)]
    fields: Vec<Field>,
    /// Reel to write.
    #[arg(long, value_name = "COPY.reel")]
    out: PathBuf,
}

fn parse_field(text: &str) -> Result<Field, String> {
    match (text, text.strip_prefix("detail.")) {
        ("users", _) => Ok(Field::Users),
        ("details", _) => Ok(Field::Details),
        ("notes", _) => Ok(Field::Notes),
        ("started-at", _) => Ok(Field::StartedAt),
        (_, Some(name)) if !name.is_empty() => Ok(Field::Detail(name.to_owned())),
        _ => Err("use one of users, details, detail.NAME, notes, started-at".to_owned()),
    }
}

#[derive(Serialize)]
struct RedactAnswer {
    schema: &'static str,
    #[serde(flatten)]
    copy: PieceAnswer,
    redacted: RedactedAnswer,
}

#[derive(Serialize)]
struct RedactedAnswer {
    users: u64,
    facts: u64,
    /// Notes beside the reel, which never go along.
    annotations: usize,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let reader = reel_file::open(&args.reel)?;
    let (sink, new) = reel_file::create(&args.out, &[&args.reel])?;
    let read = [args.reel.clone()];
    let (_, summary, redacted) = redact(reader, &args.fields, sink)
        .map_err(|error| reel_file::edit_error(&read, &args.out, &error))?;
    reel_file::keep(new, &args.out)?;
    // Free text may say what the fields must not, so it stays behind whatever was asked for.
    let left_out = notes::read_or_say(&args.reel, console).len();
    notes::go_along(&args.out, Vec::new())?;
    let answer = RedactAnswer {
        schema: "flowreel.redact/1",
        copy: PieceAnswer::new(&args.out, &summary),
        redacted: RedactedAnswer {
            users: redacted.users,
            facts: redacted.facts,
            annotations: left_out,
        },
    };
    if console.json {
        console.answer(&answer)?;
    } else {
        console.line(format_args!(
            "{} user numbers and {} facts left out; {}",
            answer.redacted.users,
            answer.redacted.facts,
            answer.copy.line()
        ))?;
        if left_out > 0 {
            console.line(format_args!(
                "the notes in {} are left out",
                notes::path_of(&args.reel).display()
            ))?;
        }
    }
    Ok(Outcome::Done)
}
