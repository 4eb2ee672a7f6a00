//! `flowreel export RUN.reel --format F --out PATH`: a reel for another tool.
//!
//! Belongs here: the file, the account of it. Does not belong here: the formats (export).

use super::{CliError, Console, Outcome, reel_file};
use flowreel_engine::export::{
    ExportError, write_csv, write_json_lines, write_otlp, write_parquet, write_perfetto,
};
use flowreel_engine::recording::WriteError;
use serde::Serialize;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel export recordings/smtp-refuses.reel --format parquet --out events.parquet"
)]
pub(super) struct Args {
    /// Reel to read.
    reel: PathBuf,
    /// What to write.
    #[arg(long, value_enum)]
    format: Format,
    /// File to write.
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Format {
    /// A row for each event in typed columns, for DuckDB, pandas, Spark and the like.
    Parquet,
    /// Protocol buffers for ui.perfetto.dev.
    Perfetto,
    /// A row for each event.
    Csv,
    /// A JSON object for each event.
    Jsonl,
    /// OTLP JSON, a line for each request.
    Otlp,
}

#[derive(Serialize)]
struct ExportAnswer {
    schema: &'static str,
    out: String,
    events: u64,
    items: u64,
    gaps: usize,
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let mut reader = reel_file::open(&args.reel)?;
    let (file, new) = reel_file::create(&args.out, &[&args.reel])?;
    let mut out = BufWriter::new(file);
    let exported = match args.format {
        Format::Parquet => write_parquet(&mut reader, &mut out),
        Format::Perfetto => write_perfetto(&mut reader, &mut out),
        Format::Csv => write_csv(&mut reader, &mut out),
        Format::Jsonl => write_json_lines(&mut reader, &mut out),
        Format::Otlp => write_otlp(&mut reader, &mut out),
    };
    let exported = exported.and_then(|exported| {
        out.flush()?;
        Ok(exported)
    });
    let exported = exported.map_err(|error| match error {
        ExportError::Read { source } => reel_file::read_error(&args.reel, &source),
        ExportError::Write { source } => {
            reel_file::write_error(&args.out, &WriteError::Io { source })
        }
    })?;
    reel_file::keep(new, &args.out)?;
    let answer = ExportAnswer {
        schema: "flowreel.export/1",
        out: args.out.display().to_string(),
        events: exported.events,
        items: exported.items,
        gaps: reader.gaps().len(),
    };
    if console.json {
        console.answer(&answer)?;
        return Ok(Outcome::Done);
    }
    let what = match args.format {
        Format::Perfetto => "slices",
        Format::Csv | Format::Parquet => "rows",
        Format::Jsonl => "lines",
        Format::Otlp => "spans",
    };
    console.line(format_args!(
        "{} {what} of {} events written to {}",
        answer.items, answer.events, answer.out
    ))?;
    if answer.gaps > 0 {
        console.line(format_args!(
            "the reel has {} gaps; what was in them is not in the file",
            answer.gaps
        ))?;
    }
    Ok(Outcome::Done)
}
