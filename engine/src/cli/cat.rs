//! `flowreel cat RUN.reel`: the events, chosen and written out.
//!
//! Belongs here: filters and formats. Does not belong here: reading (recording), one line (event_line).

use super::event_line;
use super::moment::Moment;
use super::{CliError, Console, Outcome, reel_file};
use clap::ValueEnum;
use flowreel_engine::model::event::{EventKind, StageEvent};
use flowreel_engine::model::id::{ComponentId, RequestId};
use flowreel_engine::model::time::TimeNs;
use flowreel_engine::recording::ReelReader;
use flowreel_engine::scenario::nearest_hint;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: flowreel cat recordings/smtp-refuses.reel --kind email-bounced --from 10s --to 20s"
)]
pub(super) struct Args {
    /// Reel to read.
    reel: PathBuf,
    /// Only events at or after this moment.
    #[arg(long, value_name = "T")]
    from: Option<Moment>,
    /// Only events at or before this moment.
    #[arg(long, value_name = "T")]
    to: Option<Moment>,
    /// Only events of this request.
    #[arg(long, value_name = "ID")]
    request: Option<u64>,
    /// Only events at or towards this component.
    #[arg(long, value_name = "ID")]
    component: Option<String>,
    /// Only events of this kind.
    #[arg(long, value_name = "K", value_parser = kind)]
    kind: Option<EventKind>,
    /// One JSON object a line, or a table for people.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Table,
}

fn kind(text: &str) -> Result<EventKind, String> {
    EventKind::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        format!(
            "`{text}` is no kind of event; {}",
            nearest_hint(text, &names)
        )
    })
}

/// What is asked for, resolved against the reel.
struct Filter {
    from: TimeNs,
    to: TimeNs,
    request: Option<RequestId>,
    component: Option<ComponentId>,
    kind: Option<EventKind>,
}

impl Filter {
    fn new(args: &Args, reader: &ReelReader) -> Result<Self, CliError> {
        let started_at = reader.meta().started_at_unix_ns;
        let resolve = |moment: Option<Moment>, default| {
            moment.map_or(Ok(default), |moment| moment.resolve(started_at))
        };
        let component = args.component.as_ref().map(|name| {
            reader.topology().component_named(name).ok_or_else(|| {
                let names: Vec<&str> = reader
                    .topology()
                    .components
                    .iter()
                    .map(|component| component.id.as_str())
                    .collect();
                CliError::input(format!("there is no component `{name}`"))
                    .at(args.reel.display().to_string())
                    .hint(nearest_hint(name, &names))
            })
        });
        Ok(Self {
            from: resolve(args.from, TimeNs::ZERO)?,
            to: resolve(args.to, TimeNs::MAX)?,
            request: args.request.map(RequestId),
            component: component.transpose()?,
            kind: args.kind,
        })
    }

    fn fits(&self, event: &StageEvent) -> bool {
        (self.from..=self.to).contains(&event.t_ns)
            && self.request.is_none_or(|request| event.request == request)
            && self.kind.is_none_or(|kind| event.kind == kind)
            && self
                .component
                .is_none_or(|id| event.component == id || event.peer == id)
    }
}

pub(super) fn run(args: &Args, console: &mut Console<'_>) -> Result<Outcome, CliError> {
    let failed = |error| reel_file::read_error(&args.reel, &error);
    let mut reader = reel_file::open(&args.reel)?;
    let filter = Filter::new(args, &reader)?;
    let positions: Vec<usize> = match filter.request {
        Some(request) => reader.blocks_with_request(request).map_err(failed)?,
        None => (0..reader.event_blocks().len()).collect(),
    };
    if console.json {
        console.text("{\"schema\":\"flowreel.cat/1\",\"events\":[")?;
    } else if args.format == Format::Table {
        console.line(format_args!("{}", event_line::HEAD))?;
    }
    let mut batch = Vec::new();
    let mut is_first = true;
    for position in positions {
        let is_outside = reader
            .event_blocks()
            .get(position)
            .is_none_or(|block| block.last_t_ns < filter.from.0 || block.first_t_ns > filter.to.0);
        if is_outside {
            continue;
        }
        reader.read_events(position, &mut batch).map_err(failed)?;
        for event in batch.iter().filter(|event| filter.fits(event)) {
            let detail = reader.read_detail(event.detail).map_err(failed)?;
            let topology = reader.topology();
            if console.json || args.format == Format::Jsonl {
                let text = event_line::json(event, topology, detail)?;
                if !console.json {
                    console.line(format_args!("{text}"))?;
                    continue;
                }
                console.text(if is_first { "" } else { "," })?;
                console.text(&text)?;
                is_first = false;
            } else {
                let row = event_line::row(event, topology, detail.as_ref());
                console.line(format_args!("{row}"))?;
            }
        }
    }
    if console.json {
        console.line(format_args!("]}}"))?;
    }
    for gap in reader.gaps() {
        let gap = super::info::GapAnswer::new(gap);
        console.progress(format_args!("{}", gap.line()));
    }
    Ok(Outcome::Done)
}
