//! Redacting: a copy without what others must not see.
//!
//! Belongs here: which fields can go, and the copy. Does not belong here: masking while recording
//! (whoever records).

use super::EditError;
use super::cursor::Cursor;
use super::slice::push_renumbered;
use crate::model::event::{EventKind, StageEvent};
use crate::recording::{Detail, FinishInfo, Gap, ReelReader, ReelWriter, RunId, Summary};
use std::io::Write;

/// What is left out of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Numbers of users, wherever a kind's value is one.
    Users,
    /// Every record beside an event.
    Details,
    /// This fact of every record.
    Detail(String),
    /// What the reel says about its run beside the events: notes and the embedded scenario.
    Notes,
    /// The wall clock of the run's start.
    StartedAt,
}

/// What was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// Totals of the copy.
    pub events: u64,
    /// Numbers of users that were there.
    pub users: u64,
    /// Facts that were there.
    pub facts: u64,
}

/// Writes a copy without these fields: a run of its own, for its events are not those of the run any more.
///
/// # Errors
/// [`EditError`] where the reel cannot be read or the copy not be written.
pub fn redact<W: Write>(
    reader: ReelReader,
    fields: &[Field],
    sink: W,
) -> Result<(W, Summary, Redacted), EditError> {
    let mut meta = reader.meta().clone();
    meta.run_id = RunId::derived_from(&["redact", &meta.run_id.to_string()]);
    // A scenario would prove other events than these.
    meta.scenario = None;
    if fields.contains(&Field::Notes) {
        meta.notes.clear();
    }
    if fields.contains(&Field::StartedAt) {
        meta.started_at_unix_ns = None;
    }
    meta.notes.insert("redacted".to_owned(), "yes".to_owned());
    let topology = reader.topology().clone();
    let dropped = reader.summary().and_then(|it| it.dropped).unwrap_or(0);
    let gaps: Vec<Gap> = reader.gaps().to_vec();
    let mut cursor = Cursor::new(reader);
    let mut writer = ReelWriter::new(sink, &meta, &topology)?;
    let mut result = Redacted::default();
    let mut gaps = gaps.into_iter().peekable();
    while let Some(mut event) = cursor.next().map_err(EditError::read)? {
        // Numbered anew, so a gap only says where and how much.
        while let Some(gap) = gaps.next_if(|gap| gap.to_t_ns <= event.t_ns) {
            writer.gap(&Gap {
                first_seq: None,
                offset: None,
                ..gap
            })?;
        }
        let mut detail = cursor.detail(&event).map_err(EditError::read)?;
        redact_event(&mut event, fields, &mut result);
        redact_detail(&mut detail, fields, &mut result);
        push_renumbered(&mut writer, event, detail.as_ref())?;
    }
    let info = FinishInfo {
        dropped,
        statistics_json: None,
    };
    let (sink, summary) = writer.finish(&info)?;
    result.events = summary.events;
    Ok((sink, summary, result))
}

fn redact_event(event: &mut StageEvent, fields: &[Field], result: &mut Redacted) {
    let names_a_user = matches!(
        event.kind,
        EventKind::RequestBegun
            | EventKind::ConnectionAuthenticated
            | EventKind::SessionStuck
            | EventKind::ActivityLogged
    );
    if names_a_user && event.value != 0 && fields.contains(&Field::Users) {
        event.value = 0;
        result.users += 1;
    }
}

fn redact_detail(detail: &mut Option<Detail>, fields: &[Field], result: &mut Redacted) {
    let Some(held) = detail else {
        return;
    };
    let before = held.0.len();
    held.0.retain(|key, _| {
        !fields.iter().any(|field| match field {
            Field::Details => true,
            Field::Detail(name) => name == key,
            Field::Users | Field::Notes | Field::StartedAt => false,
        })
    });
    result.facts += (before - held.0.len()) as u64;
    if held.0.is_empty() {
        *detail = None;
    }
}
